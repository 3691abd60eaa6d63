package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/kms-go/kes"
)

// retired are the routes that earlier SDKs call and no server has any more, and what their users expect to hear.
var retired = []struct {
	method, path string
	want         kes.Error
}{
	{http.MethodPost, "/v1/policy/write/app", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodDelete, "/v1/policy/delete/app", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodPost, "/v1/policy/assign/app", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodPost, "/v1/identity/assign/app/3ecf", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodDelete, "/v1/identity/forget/3ecf", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodDelete, "/v1/identity/delete/3ecf", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodPost, "/v1/enclave/create/e", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodDelete, "/v1/enclave/delete/e", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodGet, "/v1/enclave/describe/e", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodPost, "/v1/secret/create/s", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodGet, "/v1/secret/describe/s", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodGet, "/v1/secret/read/s", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodDelete, "/v1/secret/delete/s", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodGet, "/v1/secret/list/s", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodPost, "/v1/sys/seal", kes.NewError(http.StatusNotImplemented, "not implemented")},
	{http.MethodGet, "/v1/cluster/describe", kes.NewError(http.StatusNotFound, "not found")},
	{http.MethodPut, "/v1/policy/create/app", kes.NewError(http.StatusNotFound, "not found")},
	{http.MethodPut, "/v1/identity/create/3ecf", kes.NewError(http.StatusNotFound, "not found")},
	{http.MethodGet, "/v1/enclave/list/e", kes.NewError(http.StatusNotFound, "not found")},
}

// TestRetiredRoutesSayThatTheyAreGone asks with and without a body, over both HTTP versions.
func TestRetiredRoutesSayThatTheyAreGone(t *testing.T) {
	s := start(t, false)
	for _, h2 := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS(t, s.Admin), ForceAttemptHTTP2: h2}}
		t.Cleanup(client.CloseIdleConnections)
		for _, route := range retired {
			for _, body := range []string{"", `{"bytes":"AAAA","type":"generic","policy":"app"}`} {
				if got := ask(t, client, route.method, s.URL+route.path, body); got != route.want {
					t.Errorf("%s %s over HTTP/2 %v with body %q gives %v, want %v", route.method, route.path, h2, body, got, route.want)
				}
			}
		}
	}
	_, err := s.admin.Version(background(t))
	ok(t, err)
}

// ask sends what no method of this SDK sends any more, with a body of undeclared length as all SDKs do, and reads the
// error by the rules of the SDK.
func ask(t *testing.T, client *http.Client, method, url, body string) kes.Error {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = io.MultiReader(strings.NewReader(body))
	}
	req, err := http.NewRequestWithContext(background(t), method, url, reader)
	ok(t, err)
	res, err := client.Do(req)
	ok(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	ok(t, err)
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		return kes.NewError(res.StatusCode, string(text))
	}
	var answer struct{ Error, Message string }
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Errorf("%s %s: %v in %q", method, url, err, text)
	}
	if answer.Error == "" {
		answer.Error = answer.Message
	}
	return kes.NewError(res.StatusCode, answer.Error)
}

// secretsAreGone uses what the SDK kept of secrets: types that no method of its client returns.
func (m *methods) secretsAreGone(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: m.TLS(t, m.Admin)}}
	got := ask(t, client, http.MethodGet, m.URL+"/v1/secret/describe/s", "")
	if errors.Is(got, kes.ErrSecretNotFound) || got.Status() != http.StatusNotImplemented {
		t.Errorf("describing a secret gives %v", got)
	}
	info := kes.SecretInfo{Name: "s", Type: kes.SecretGeneric, CreatedBy: kes.Identity(m.appID.ID)}
	text, err := info.MarshalJSON()
	ok(t, err)
	var again kes.SecretInfo
	ok(t, again.UnmarshalJSON(text))
	kind, err := again.Type.MarshalText()
	ok(t, err)
	var parsed kes.SecretType
	ok(t, parsed.UnmarshalText(kind))
	if again != info || parsed != kes.SecretGeneric || fmt.Sprint(parsed) != parsed.String() {
		t.Errorf("%+v does not survive its own JSON: %+v", info, again)
	}
}
