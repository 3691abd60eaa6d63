package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/kms-go/kes"
)

// The checks of the coverage table in method_test.go. Each covers the methods that belong together.

func (m *methods) health(t *testing.T) {
	ctx := background(t)
	version, err := m.admin.Version(ctx)
	ok(t, err)
	ready, err := m.admin.IsReady(ctx)
	ok(t, err)
	state, err := m.admin.Status(ctx)
	ok(t, err)
	if !ready || version == "" || state.Version != version {
		t.Errorf("ready: %v, version %q, status %+v", ready, version, state)
	}
	// Seconds on the wire: within the life of this test, and not a thousand million times longer.
	if state.UpTime < 0 || state.UpTime > time.Hour {
		t.Errorf("up for %v", state.UpTime)
	}
	if state.KeyStoreLatency <= 0 || !state.KeyStoreReachable || !state.KeystoreAvailable {
		t.Errorf("the keystore is said to be down: %+v", state)
	}
	text, err := state.MarshalJSON()
	ok(t, err)
	var again kes.State
	ok(t, again.UnmarshalJSON(text))
	if again.Version != version || again.OS != state.OS || again.Arch != state.Arch || again.CPUs != state.CPUs ||
		again.HeapAlloc != state.HeapAlloc || again.StackAlloc != state.StackAlloc {
		t.Errorf("status %+v does not survive its own JSON: %+v", state, again)
	}
	_, err = m.stranger.IsReady(ctx)
	is(t, err, kes.ErrNotAllowed)
}

func (m *methods) apis(t *testing.T) {
	apis, err := m.admin.APIs(background(t))
	ok(t, err)
	if len(apis) != 22 {
		t.Errorf("%d APIs, want 22", len(apis))
	}
	for _, api := range apis {
		text, err := json.Marshal(api)
		ok(t, err)
		var again kes.API
		ok(t, json.Unmarshal(text, &again))
		if again != api {
			t.Errorf("%+v does not survive its own JSON: %+v", api, again)
		}
	}
}

// keyLife takes keys through all that can be done to one.
func (m *methods) keyLife(t *testing.T) {
	ctx := background(t)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	ok(t, m.app.CreateKey(ctx, "app-life"))
	ok(t, m.app.ImportKey(ctx, "app-life-imported", &kes.ImportKeyRequest{Key: secret, Cipher: kes.ChaCha20}))
	for _, name := range []string{"app-life", "app-life-imported"} {
		info, err := m.app.DescribeKey(ctx, name)
		ok(t, err)
		text, err := info.MarshalJSON()
		ok(t, err)
		var again kes.KeyInfo
		ok(t, again.UnmarshalJSON(text))
		if again.Name != name || again.CreatedBy.String() != m.appID.ID || !again.CreatedAt.Equal(info.CreatedAt) ||
			again.Algorithm != info.Algorithm {
			t.Errorf("%s is described as %+v, again as %+v", name, info, again)
		}
		dek, err := m.app.GenerateKey(ctx, name, []byte("context"))
		ok(t, err)
		plain, err := m.app.Decrypt(ctx, name, dek.Ciphertext, []byte("context"))
		ok(t, err)
		same(t, "data key", plain, dek.Plaintext)
		sealed, err := m.app.Encrypt(ctx, name, []byte("message"), nil)
		ok(t, err)
		opened, err := m.app.Decrypt(ctx, name, sealed, nil)
		ok(t, err)
		same(t, "message", opened, []byte("message"))
		first, err := m.app.HMAC(ctx, name, []byte("message"))
		ok(t, err)
		second, err := m.app.HMAC(ctx, name, []byte("message"))
		ok(t, err)
		same(t, "hmac", second, first)
	}
	names, next, err := m.app.ListKeys(ctx, "app-life", 0)
	ok(t, err)
	if !slices.Equal(names, []string{"app-life", "app-life-imported"}) || next != "" {
		t.Errorf("names %q, continue at %q", names, next)
	}
	for _, name := range []string{"app-life", "app-life-imported"} {
		ok(t, m.app.DeleteKey(ctx, name))
		is(t, m.app.DeleteKey(ctx, name), kes.ErrKeyNotFound)
	}
}

func (m *methods) algorithms(t *testing.T) {
	ctx := background(t)
	for name, algorithm := range map[string]kes.KeyAlgorithm{"AES256": kes.AES256, "ChaCha20": kes.ChaCha20} {
		key := "app-algorithm-" + name
		ok(t, m.app.ImportKey(ctx, key, &kes.ImportKeyRequest{Key: make([]byte, 32), Cipher: algorithm}))
		info, err := m.app.DescribeKey(ctx, key)
		ok(t, err)
		text, err := info.Algorithm.MarshalText()
		ok(t, err)
		var parsed kes.KeyAlgorithm
		ok(t, parsed.UnmarshalText(text))
		if info.Algorithm != algorithm || info.Algorithm.String() != name || string(text) != name || parsed != algorithm {
			t.Errorf("imported as %s: described as %v, text %s, parsed %v", name, info.Algorithm, text, parsed)
		}
	}
}

func (m *methods) policies(t *testing.T) {
	ctx := background(t)
	names, next, err := m.admin.ListPolicies(ctx, "", 0)
	ok(t, err)
	if !slices.Equal(names, []string{"app"}) || next != "" {
		t.Errorf("policies %q, continue at %q", names, next)
	}
	info, err := m.admin.DescribePolicy(ctx, "app")
	ok(t, err)
	if info.Name != "app" || info.CreatedBy.String() != m.Admin.ID || time.Since(info.CreatedAt) > time.Hour {
		t.Errorf("policy app is described as %+v", info)
	}
	policy, err := m.admin.GetPolicy(ctx, "app")
	ok(t, err)
	// The policy as the SDK reads it judges as the server does.
	for path, want := range map[string]error{"/v1/status": nil, "/v1/key/delete/app-locked": kes.ErrNotAllowed, "/v1/metrics": kes.ErrNotAllowed} {
		req, err := http.NewRequest(http.MethodGet, m.URL+path, nil)
		ok(t, err)
		if got := policy.Verify(req); !errors.Is(got, want) {
			t.Errorf("the SDK judges %s by the policy: %v, want %v", path, got, want)
		}
	}
	if !policy.IsSubset(policy) || policy.IsSubset(&kes.Policy{}) {
		t.Errorf("policy %+v is no subset of itself, or one of the empty policy", policy)
	}
	_, err = m.admin.DescribePolicy(ctx, "none-such")
	is(t, err, kes.ErrPolicyNotFound)
	_, err = m.admin.GetPolicy(ctx, "none-such")
	is(t, err, kes.ErrPolicyNotFound)
}

func (m *methods) identities(t *testing.T) {
	ctx := background(t)
	all, next, err := m.admin.ListIdentities(ctx, "", 0)
	ok(t, err)
	want := []kes.Identity{kes.Identity(m.Admin.ID), kes.Identity(m.appID.ID), m.apiKey.Identity()}
	slices.Sort(want)
	if !slices.Equal(all, want) || next != "" {
		t.Errorf("identities %q, continue at %q; want %q", all, next, want)
	}
	some, _, err := m.admin.ListIdentities(ctx, m.appID.ID[:16], 0)
	ok(t, err)
	if !slices.Equal(some, []kes.Identity{kes.Identity(m.appID.ID)}) {
		t.Errorf("identities that begin with %s: %q", m.appID.ID[:16], some)
	}
	for _, who := range all {
		info, err := m.admin.DescribeIdentity(ctx, who)
		ok(t, err)
		if info.IsAdmin != (who.String() == m.Admin.ID) || info.IsAdmin == (info.Policy == "app") {
			t.Errorf("%s is described as %+v", who, info)
		}
		if info.CreatedBy.IsUnknown() != info.IsAdmin { // the admin alone was made by nobody
			t.Errorf("%s was created by %q", who, info.CreatedBy)
		}
	}
	self, policy, err := m.app.DescribeSelf(ctx)
	ok(t, err)
	if self.Identity.String() != m.appID.ID || self.IsAdmin || self.Policy != "app" || len(policy.Allow) != 3 || len(policy.Deny) != 1 {
		t.Errorf("app describes itself as %+v with %+v", self, policy)
	}
	self, _, err = m.admin.DescribeSelf(ctx)
	ok(t, err)
	if self.Identity.String() != m.Admin.ID || !self.IsAdmin || self.Policy != "" {
		t.Errorf("the admin describes itself as %+v", self)
	}
	_, err = m.admin.DescribeIdentity(ctx, kes.Identity(m.strangeID.ID))
	is(t, err, kes.ErrIdentityNotFound)
	_, _, err = m.stranger.DescribeSelf(ctx)
	is(t, err, kes.ErrIdentityNotFound)
}

func (m *methods) apiKeys(t *testing.T) {
	m.withAPIKey(t)
	parsed, err := kes.ParseAPIKey(m.apiKey.String())
	ok(t, err)
	if parsed.Identity() != m.apiKey.Identity() || !reflect.DeepEqual(parsed.Public(), m.apiKey.Public()) ||
		!reflect.DeepEqual(parsed.Private(), m.apiKey.Private()) {
		t.Error("an API key does not survive its own text")
	}
	cert, err := kes.GenerateCertificate(parsed)
	ok(t, err)
	self, _, err := kes.NewClientWithConfig(m.URL, m.TLSWith(cert)).DescribeSelf(background(t))
	ok(t, err)
	if self.Identity != m.apiKey.Identity() || self.Policy != "app" {
		t.Errorf("the API key describes itself as %+v", self)
	}
}

// connError asks where nobody listens, and with a deadline that has passed.
func (m *methods) connError(t *testing.T) {
	ctx := background(t)
	client := kes.NewClientWithConfig("https://"+refusing(t), m.TLS(t, m.Admin))
	_, err := client.Version(ctx)
	conn, yes := kes.IsConnError(err)
	if !yes || conn.Unwrap() == nil || conn.Error() == "" || conn.Timeout() || conn.Host == "" {
		t.Fatalf("nobody listening gives %#v", err)
	}
	_ = conn.Temporary()
	if _, yes := kes.IsConnError(kes.ErrKeyNotFound); yes {
		t.Error("an answer counts as a connection error")
	}
	past, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	_, err = m.admin.Version(past)
	is(t, err, context.DeadlineExceeded)
}

// wellKnown asks the server for the errors that clients compare with.
func (m *methods) wellKnown(t *testing.T) {
	ctx := background(t)
	ok(t, m.app.CreateKey(ctx, "app-known"))
	_, notFound := m.app.DescribeKey(ctx, "app-unknown")
	_, decrypt := m.app.Decrypt(ctx, "app-known", make([]byte, 100), nil)
	_, forbidden := m.stranger.DescribeKey(ctx, "app-known")
	for _, c := range []struct {
		got    error
		want   kes.Error
		status int
		text   string
	}{
		{m.app.CreateKey(ctx, "app-known"), kes.ErrKeyExists, http.StatusBadRequest, "key already exists"},
		{notFound, kes.ErrKeyNotFound, http.StatusNotFound, "key does not exist"},
		{decrypt, kes.ErrDecrypt, http.StatusBadRequest, "decryption failed: ciphertext is not authentic"},
		{forbidden, kes.ErrNotAllowed, http.StatusForbidden, "not authorized: insufficient permissions"},
	} {
		var got kes.Error
		if !errors.As(c.got, &got) || got != c.want || got != kes.NewError(c.status, c.text) || got.Status() != c.status ||
			!strings.Contains(got.Error(), c.text) {
			t.Errorf("got the error %v, want %v", c.got, c.want)
		}
	}
}

func (m *methods) iterators(t *testing.T) {
	ctx := background(t)
	for _, name := range []string{"app-iter-a", "app-iter-b", "app-iter-c"} {
		ok(t, m.app.CreateKey(ctx, name))
	}
	iter := kes.ListIter[string]{NextFunc: m.app.ListKeys}
	first, err := iter.SeekTo(ctx, "app-iter-b")
	ok(t, err)
	if _, err := iter.Next(ctx); first != "app-iter-b" || !errors.Is(err, io.EOF) {
		t.Errorf("sought app-iter-b, found %q, and then %v", first, err)
	}
	policies := kes.ListIter[string]{NextFunc: m.admin.ListPolicies}
	if got := walk(t, &policies); !slices.Equal(got, []string{"app"}) {
		t.Errorf("iterating over policies gives %q", got)
	}
	identities := kes.ListIter[kes.Identity]{NextFunc: m.admin.ListIdentities}
	if got := walk(t, &identities); len(got) != 3 || !slices.IsSorted(got) {
		t.Errorf("iterating over identities gives %q", got)
	}
}

// walk takes an iterator to its end.
func walk[T any](t *testing.T, iter *kes.ListIter[T]) []T {
	t.Helper()
	ctx := background(t)
	var all []T
	for {
		item, err := iter.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all
		}
		ok(t, err)
		all = append(all, item)
	}
}

// recordedAudit parses a stream that was saved with WriteTo, as a log collector would.
func (m *methods) recordedAudit(t *testing.T) {
	saved := m.auditSaved(t)
	stream := kes.NewAuditStream(bytes.NewReader(saved))
	if event := nextAudit(t, stream); event.APIPath != "/v1/key/describe/app-copy-audit" || event.StatusCode != http.StatusNotFound {
		t.Errorf("a saved audit log is parsed as %+v:\n%s", event, saved)
	}
	ok(t, stream.Close())
}

func (m *methods) recordedErrors(t *testing.T) {
	saved := m.errorsSaved(t)
	stream := kes.NewErrorStream(bytes.NewReader(saved))
	if !stream.Next() || stream.Message() == "" {
		t.Errorf("a saved error log is parsed as %+v:\n%s", stream.Event(), saved)
	}
	ok(t, stream.Close())
}

func (m *methods) metrics(t *testing.T) {
	ctx := background(t)
	before, err := m.admin.Metrics(ctx)
	ok(t, err)
	ok(t, m.app.CreateKey(ctx, "app-measured"))
	is(t, m.app.CreateKey(ctx, "app-measured"), kes.ErrKeyExists)
	m.breakKey(t)
	m.useBrokenKey(t)
	after, err := m.admin.Metrics(ctx)
	ok(t, err)
	if after.RequestOK != before.RequestOK+1 || after.RequestErr != before.RequestErr+1 || after.RequestFail != before.RequestFail+1 ||
		after.RequestN() != before.RequestN()+3 {
		t.Errorf("a success, a refusal and a failure later: %+v, before %+v", after, before)
	}
	if after.AuditEvents < before.AuditEvents+3 || after.ErrorEvents < before.ErrorEvents+1 {
		t.Errorf("three audit events and an error event later: %+v, before %+v", after, before)
	}
	if after.RequestActive != 0 {
		t.Errorf("%d requests are active, and nobody asks", after.RequestActive)
	}
	for _, bound := range []time.Duration{10, 50, 100, 250, 500, 1000, 1500, 3000, 5000, 10000} {
		if _, found := after.LatencyHistogram[bound*time.Millisecond]; !found {
			t.Errorf("the histogram has no bucket of %v: %v", bound*time.Millisecond, after.LatencyHistogram)
		}
	}
	if got, want := after.LatencyHistogram[10*time.Second], after.RequestN(); got != want {
		t.Errorf("the histogram counts %d requests, the counters %d", got, want)
	}
	if after.UpTime < before.UpTime || after.UpTime > time.Hour || after.HeapObjects == 0 || after.StackAlloc == 0 {
		t.Errorf("a figure of the metrics is wrong: %+v", after)
	}
}
