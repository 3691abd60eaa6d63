package sdk

import (
	"crypto/tls"
	"io"
	"net/http"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/minio/kms-go/kes"
)

// types are the SDK's types with methods, as values that have all of them. TestMethodTableIsComplete compares the names
// with what `go doc` lists, so that a newer SDK cannot bring a type that no test knows.
var types = map[string]reflect.Type{
	"API":          reflect.TypeFor[*kes.API](),
	"APIKey":       reflect.TypeFor[kes.APIKey](),
	"AuditStream":  reflect.TypeFor[*kes.AuditStream](),
	"Client":       reflect.TypeFor[*kes.Client](),
	"ConnError":    reflect.TypeFor[*kes.ConnError](),
	"Error":        reflect.TypeFor[kes.Error](),
	"ErrorStream":  reflect.TypeFor[*kes.ErrorStream](),
	"Identity":     reflect.TypeFor[kes.Identity](),
	"KeyAlgorithm": reflect.TypeFor[*kes.KeyAlgorithm](),
	"KeyInfo":      reflect.TypeFor[*kes.KeyInfo](),
	"ListIter":     reflect.TypeFor[*kes.ListIter[string]](),
	"Metric":       reflect.TypeFor[*kes.Metric](),
	"Policy":       reflect.TypeFor[*kes.Policy](),
	"SecretInfo":   reflect.TypeFor[*kes.SecretInfo](),
	"SecretType":   reflect.TypeFor[*kes.SecretType](),
	"State":        reflect.TypeFor[*kes.State](),
}

// methodless are the SDK's types without methods.
var methodless = []string{
	"AuditEvent", "CertificateOption", "ClusterInfo", "CreateIdentityRequest", "DEK", "ErrorEvent", "IdentityInfo",
	"ImportKeyRequest", "PolicyInfo", "Rule", "SecretOptions",
}

// functions are the SDK's functions, each with the tests that call it.
var functions = map[string]func(*methods, *testing.T){
	"GenerateAPIKey":      (*methods).apiKeys,
	"GenerateCertificate": (*methods).apiKeys,
	"IsConnError":         (*methods).connError,
	"NewAuditStream":      (*methods).recordedAudit,
	"NewClient":           (*methods).apiKeys,
	"NewClientWithConfig": (*methods).apiKeys,
	"NewError":            (*methods).wellKnown,
	"NewErrorStream":      (*methods).recordedErrors,
	"ParseAPIKey":         (*methods).apiKeys,
}

// checks is the coverage table: for every method of the SDK the test that calls it against the server.
var checks = map[string]func(*methods, *testing.T){
	"API.MarshalJSON":            (*methods).apis,
	"API.UnmarshalJSON":          (*methods).apis,
	"APIKey.Identity":            (*methods).apiKeys,
	"APIKey.Private":             (*methods).apiKeys,
	"APIKey.Public":              (*methods).apiKeys,
	"APIKey.String":              (*methods).apiKeys,
	"AuditStream.Close":          (*methods).auditLog,
	"AuditStream.Event":          (*methods).auditLog,
	"AuditStream.Next":           (*methods).auditLog,
	"AuditStream.WriteTo":        (*methods).auditCopy,
	"Client.APIs":                (*methods).apis,
	"Client.AuditLog":            (*methods).auditLog,
	"Client.CreateKey":           (*methods).keyLife,
	"Client.Decrypt":             (*methods).keyLife,
	"Client.DeleteKey":           (*methods).keyLife,
	"Client.DescribeIdentity":    (*methods).identities,
	"Client.DescribeKey":         (*methods).keyLife,
	"Client.DescribePolicy":      (*methods).policies,
	"Client.DescribeSelf":        (*methods).identities,
	"Client.Encrypt":             (*methods).keyLife,
	"Client.ErrorLog":            (*methods).errorLog,
	"Client.GenerateKey":         (*methods).keyLife,
	"Client.GetPolicy":           (*methods).policies,
	"Client.HMAC":                (*methods).keyLife,
	"Client.ImportKey":           (*methods).keyLife,
	"Client.IsReady":             (*methods).health,
	"Client.ListIdentities":      (*methods).identities,
	"Client.ListKeys":            (*methods).keyLife,
	"Client.ListPolicies":        (*methods).policies,
	"Client.Metrics":             (*methods).metrics,
	"Client.Status":              (*methods).health,
	"Client.Version":             (*methods).health,
	"ConnError.Error":            (*methods).connError,
	"ConnError.Temporary":        (*methods).connError,
	"ConnError.Timeout":          (*methods).connError,
	"ConnError.Unwrap":           (*methods).connError,
	"Error.Error":                (*methods).wellKnown,
	"Error.Status":               (*methods).wellKnown,
	"ErrorStream.Close":          (*methods).errorLog,
	"ErrorStream.Event":          (*methods).errorLog,
	"ErrorStream.Message":        (*methods).errorLog,
	"ErrorStream.Next":           (*methods).errorLog,
	"ErrorStream.WriteTo":        (*methods).errorCopy,
	"Identity.IsUnknown":         (*methods).identities,
	"Identity.String":            (*methods).identities,
	"KeyAlgorithm.MarshalText":   (*methods).algorithms,
	"KeyAlgorithm.String":        (*methods).algorithms,
	"KeyAlgorithm.UnmarshalText": (*methods).algorithms,
	"KeyInfo.MarshalJSON":        (*methods).keyLife,
	"KeyInfo.UnmarshalJSON":      (*methods).keyLife,
	"ListIter.Next":              (*methods).iterators,
	"ListIter.SeekTo":            (*methods).iterators,
	"Metric.RequestN":            (*methods).metrics,
	"Policy.IsSubset":            (*methods).policies,
	"Policy.Verify":              (*methods).policies,
	"SecretInfo.MarshalJSON":     (*methods).secretsAreGone,
	"SecretInfo.UnmarshalJSON":   (*methods).secretsAreGone,
	"SecretType.MarshalText":     (*methods).secretsAreGone,
	"SecretType.String":          (*methods).secretsAreGone,
	"SecretType.UnmarshalText":   (*methods).secretsAreGone,
	"State.MarshalJSON":          (*methods).health,
	"State.UnmarshalJSON":        (*methods).health,
}

// methods is a server with keys in files, and clients whose every request passes a witness.
type methods struct {
	*stand
	*witness
}

// TestEveryMethod runs the check of each exported method and function, found by reflection. What speaks to the server
// must have been seen on the wire, called by that very method: the table cannot merely claim it.
func TestEveryMethod(t *testing.T) {
	m := &methods{stand: start(t, true), witness: &witness{seen: map[string]bool{}}}
	m.admin = m.client(m.TLS(t, m.Admin))
	m.app = m.client(m.TLS(t, m.appID))
	done := map[uintptr]bool{} // one check covers several methods
	run := func(name string, check func(*methods, *testing.T)) {
		if at := reflect.ValueOf(check).Pointer(); !done[at] {
			done[at] = true
			t.Run(name, func(t *testing.T) { check(m, t) })
		}
	}
	for typ, is := range types {
		for at := range is.NumMethod() {
			name := typ + "." + is.Method(at).Name
			check, known := checks[name]
			if !known {
				t.Errorf("%s is not exercised: give it a check in the table", name)
				continue
			}
			run(name, check)
		}
	}
	for name, check := range functions {
		run(name, check)
	}
	onTheWire := []string{"ListIter.Next", "ListIter.SeekTo", "AuditStream.Next", "AuditStream.WriteTo", "AuditStream.Close",
		"ErrorStream.Next", "ErrorStream.WriteTo", "ErrorStream.Close"}
	for at := range types["Client"].NumMethod() {
		onTheWire = append(onTheWire, "Client."+types["Client"].Method(at).Name)
	}
	for _, name := range onTheWire {
		if !m.saw(name) {
			t.Errorf("%s was said to be exercised, and no request of it was seen", name)
		}
	}
}

// TestMethodTableIsComplete compares the tables with `go doc` in both directions.
func TestMethodTableIsComplete(t *testing.T) {
	cmd := exec.Command("go", "doc", "-short", "github.com/minio/kms-go/kes")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go doc: %v", err)
	}
	for _, found := range regexp.MustCompile(`(?m)^\s*(type|func) (\w+)`).FindAllStringSubmatch(string(out), -1) {
		kind, name := found[1], found[2]
		_, hasMethods := types[name]
		_, isFunction := functions[name]
		if kind == "type" && !hasMethods && !slices.Contains(methodless, name) || kind == "func" && !isFunction {
			t.Errorf("no test knows the %s %s of the SDK", kind, name)
		}
	}
	for name := range checks {
		typ, method, _ := strings.Cut(name, ".")
		if types[typ] == nil {
			t.Errorf("the table has %s, the SDK no such type", name)
		} else if _, found := types[typ].MethodByName(method); !found {
			t.Errorf("the table has %s, the SDK no such method", name)
		}
	}
}

// witness is an http.RoundTripper that notes which methods of the SDK are on the stack when a request is sent and when
// its response is read or closed.
type witness struct {
	mu   sync.Mutex
	seen map[string]bool
}

// witnessed is a transport whose requests and responses the witness sees.
type witnessed struct {
	*witness
	next http.RoundTripper
}

// watched is a response body that the witness sees used.
type watched struct {
	*witness
	io.ReadCloser
}

func (m *methods) client(config *tls.Config) *kes.Client {
	client := kes.NewClientWithConfig(m.URL, config)
	client.HTTPClient.Transport = witnessed{m.witness, client.HTTPClient.Transport}
	return client
}

func (w witnessed) RoundTrip(req *http.Request) (*http.Response, error) {
	w.note()
	res, err := w.next.RoundTrip(req)
	if err == nil {
		res.Body = watched{w.witness, res.Body}
	}
	return res, err
}

func (w watched) Read(b []byte) (int, error) {
	w.note()
	return w.ReadCloser.Read(b)
}

func (w watched) Close() error {
	w.note()
	return w.ReadCloser.Close()
}

// method recognises a method of the SDK in the name that the runtime gives it.
var method = regexp.MustCompile(`^github\.com/minio/kms-go/kes\.\(?\*?(\w+)(?:\[[^]]*\])?\)?\.(\w+)`)

func (w *witness) note() {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		frame, more := frames.Next()
		if found := method.FindStringSubmatch(frame.Function); found != nil {
			w.seen[found[1]+"."+found[2]] = true
		}
		if !more {
			return
		}
	}
}

func (w *witness) saw(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[name]
}
