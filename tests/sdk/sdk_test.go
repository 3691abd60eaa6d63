// Package sdk drives a real `kes server` through the Go SDK that its clients in the field use.
//
// AGPL-3.0 dependency: see README.md in this folder. This test program is never distributed.
package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/minio/kms-go/kes"

	"kes/tests/kesd"
)

// stand is a running server with a client for each kind of caller.
type stand struct {
	*kesd.Server

	admin     *kes.Client // may do everything
	app       *kes.Client // policy: every operation on keys named app-*
	stranger  *kes.Client // an identity the server has never heard of
	apiKey    kes.APIKey  // policy: the same as app, proven by an API key
	appID     kesd.Identity
	strangeID kesd.Identity
}

func start(t *testing.T, files bool) *stand {
	t.Helper()
	dir := t.TempDir()
	key, err := kes.GenerateAPIKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{
		appID:     kesd.NewIdentity(t, dir, "app"),
		strangeID: kesd.NewIdentity(t, dir, "stranger"),
		apiKey:    key,
	}
	s.Server = kesd.Start(t, kesd.Config{
		Files: files,
		Policies: map[string]kesd.Policy{
			"app": {
				Allow:      []string{"/v1/key/*/app-*", "/v1/key/list/app-*", "/v1/status"},
				Deny:       []string{"/v1/key/delete/app-locked"},
				Identities: []string{s.appID.ID, key.Identity().String()},
			},
		},
	})
	s.admin = kes.NewClientWithConfig(s.URL, s.TLS(t, s.Admin))
	s.app = kes.NewClientWithConfig(s.URL, s.TLS(t, s.appID))
	s.stranger = kes.NewClientWithConfig(s.URL, s.TLS(t, s.strangeID))
	return s
}

// TestSDK runs every scenario against both keystores that need nothing but the machine. Each uses its own key names.
func TestSDK(t *testing.T) {
	for _, store := range []struct {
		name  string
		files bool
	}{{"memory", false}, {"files", true}} {
		t.Run(store.name, func(t *testing.T) {
			s := start(t, store.files)
			t.Run("version, readiness and status decode", s.status)
			t.Run("metrics count what happened", s.metrics)
			t.Run("the list of APIs is complete", s.apis)
			t.Run("a key is created once and described", s.createAndDescribe)
			t.Run("data keys open only with their context", s.generateAndDecrypt)
			t.Run("messages of all sizes are sealed and opened", s.encryptAndDecrypt)
			t.Run("hmac depends on key and message alone", s.hmac)
			t.Run("an imported key is the key that was given", s.importKey)
			t.Run("listing and iterating give all names in order", s.list)
			t.Run("a deleted key is gone for every operation", s.deleteKey)
			t.Run("a client without permission is told so", s.notAllowed)
			t.Run("an API key is an identity", s.withAPIKey)
			t.Run("identities and policies are described", s.describeIdentity)
			t.Run("every protocol version serves, and resumes", s.protocols)
		})
	}
}

// TestKeysInFilesOutliveTheServer proves that a data key opens after a restart, and with keys in memory does not.
func TestKeysInFilesOutliveTheServer(t *testing.T) {
	for _, files := range []bool{true, false} {
		t.Run(fmt.Sprintf("files=%v", files), func(t *testing.T) {
			s := start(t, files)
			ctx := background(t)
			ok(t, s.admin.CreateKey(ctx, "app-lasting"))
			dek, err := s.admin.GenerateKey(ctx, "app-lasting", []byte("ctx"))
			ok(t, err)
			sum, err := s.admin.HMAC(ctx, "app-lasting", []byte("message"))
			ok(t, err)
			if !s.Stop() {
				t.Error("the server did not end cleanly after SIGTERM")
			}
			if _, err := s.admin.Version(ctx); err == nil {
				t.Fatal("a stopped server answers")
			} else if _, conn := kes.IsConnError(err); !conn {
				t.Errorf("a stopped server gives %v, want a connection error", err)
			}
			s.Restart(t)
			plain, err := s.admin.Decrypt(ctx, "app-lasting", dek.Ciphertext, []byte("ctx"))
			if !files {
				is(t, err, kes.ErrKeyNotFound)
				return
			}
			ok(t, err)
			same(t, "plaintext", plain, dek.Plaintext)
			again, err := s.admin.HMAC(ctx, "app-lasting", []byte("message"))
			ok(t, err)
			same(t, "hmac", again, sum)
		})
	}
}

func (s *stand) status(t *testing.T) {
	ctx := background(t)
	version, err := s.admin.Version(ctx)
	ok(t, err)
	if version == "" {
		t.Error("the version is empty")
	}
	ready, err := s.admin.IsReady(ctx)
	ok(t, err)
	if !ready {
		t.Error("the server says that it is not ready")
	}
	state, err := s.app.Status(ctx)
	ok(t, err)
	if state.Version != version {
		t.Errorf("status names version %q, /version %q", state.Version, version)
	}
	if state.OS != runtime.GOOS || state.Arch != runtime.GOARCH {
		t.Errorf("status says %s/%s, want the names of Go: %s/%s", state.OS, state.Arch, runtime.GOOS, runtime.GOARCH)
	}
	if !state.KeyStoreReachable || !state.KeystoreAvailable {
		t.Errorf("the keystore is said to be down: %+v", state)
	}
	if state.CPUs < 1 || state.UsableCPUs < 1 || state.HeapAlloc == 0 || state.StackAlloc == 0 {
		t.Errorf("a figure of the status is zero: %+v", state)
	}
}

func (s *stand) metrics(t *testing.T) {
	ctx := background(t)
	before, err := s.admin.Metrics(ctx)
	ok(t, err)
	ok(t, s.app.CreateKey(ctx, "app-counted"))
	is(t, s.app.CreateKey(ctx, "app-counted"), kes.ErrKeyExists)
	after, err := s.admin.Metrics(ctx)
	ok(t, err)
	if after.RequestOK != before.RequestOK+1 || after.RequestErr != before.RequestErr+1 || after.RequestFail != before.RequestFail {
		t.Errorf("one success and one refusal later: %+v, before %+v", after, before)
	}
	if after.UpTime < before.UpTime || after.CPUs < 1 || after.UsableCPUs < 1 || after.Threads < 1 || after.HeapAlloc == 0 {
		t.Errorf("a figure of the metrics is zero: %+v", after)
	}
}

func (s *stand) apis(t *testing.T) {
	const body = 1_000_000
	// Written from the documentation of the API, not from the server's own table.
	want := []kes.API{
		{Method: "GET", Path: "/version", Timeout: 10 * time.Second},
		{Method: "GET", Path: "/v1/api", Timeout: 10 * time.Second},
		{Method: "GET", Path: "/v1/identity/describe/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/identity/list/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/identity/self/describe", Timeout: 15 * time.Second},
		{Method: "PUT", Path: "/v1/key/create/", Timeout: 15 * time.Second},
		{Method: "PUT", Path: "/v1/key/decrypt/", MaxBody: body, Timeout: 15 * time.Second},
		{Method: "DELETE", Path: "/v1/key/delete/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/key/describe/", Timeout: 15 * time.Second},
		{Method: "PUT", Path: "/v1/key/encrypt/", MaxBody: body, Timeout: 15 * time.Second},
		{Method: "PUT", Path: "/v1/key/generate/", MaxBody: body, Timeout: 15 * time.Second},
		{Method: "PUT", Path: "/v1/key/hmac/", MaxBody: body, Timeout: 15 * time.Second},
		{Method: "PUT", Path: "/v1/key/import/", MaxBody: body, Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/key/list/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/log/audit"},
		{Method: "GET", Path: "/v1/log/error"},
		{Method: "GET", Path: "/v1/metrics", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/policy/describe/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/policy/list/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/policy/read/", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/ready", Timeout: 15 * time.Second},
		{Method: "GET", Path: "/v1/status", Timeout: 15 * time.Second},
	}
	got, err := s.admin.APIs(background(t))
	ok(t, err)
	byPath := func(a, b kes.API) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) }
	if !slices.IsSortedFunc(got, byPath) {
		t.Error("the APIs are not sorted by path")
	}
	slices.SortFunc(want, byPath)
	slices.SortFunc(got, byPath)
	if !slices.Equal(got, want) {
		t.Errorf("APIs:\n got %+v\nwant %+v", got, want)
	}
}

func (s *stand) createAndDescribe(t *testing.T) {
	ctx := background(t)
	before := time.Now()
	ok(t, s.app.CreateKey(ctx, "app-create"))
	is(t, s.app.CreateKey(ctx, "app-create"), kes.ErrKeyExists)
	is(t, s.admin.CreateKey(ctx, "app-create"), kes.ErrKeyExists)

	info, err := s.app.DescribeKey(ctx, "app-create")
	ok(t, err)
	if info.Name != "app-create" || info.CreatedBy.String() != s.appID.ID {
		t.Errorf("described as %+v, want name app-create, creator %s", info, s.appID.ID)
	}
	if info.Algorithm != kes.AES256 && info.Algorithm != kes.ChaCha20 {
		t.Errorf("unknown algorithm %v", info.Algorithm)
	}
	if info.CreatedAt.Before(before.Add(-time.Second)) || info.CreatedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("created at %v, outside of this test", info.CreatedAt)
	}
	_, err = s.app.DescribeKey(ctx, "app-nobody-made-this")
	is(t, err, kes.ErrKeyNotFound)

	for _, name := range []string{"-a", "a/b", "a.b", "ä", "a b", "*", string(bytes.Repeat([]byte("a"), 81))} {
		err := s.admin.CreateKey(ctx, name)
		var kesErr kes.Error
		if !errors.As(err, &kesErr) || kesErr.Status() != http.StatusBadRequest {
			t.Errorf("creating the key %q gives %v, want status 400", name, err)
		}
	}
}

func (s *stand) generateAndDecrypt(t *testing.T) {
	ctx := background(t)
	ok(t, s.app.CreateKey(ctx, "app-dek"))
	ok(t, s.app.CreateKey(ctx, "app-dek-other"))
	contexts := [][]byte{nil, {}, []byte("{}"), []byte(`{"bucket":"bucket/object"}`), bytes.Repeat([]byte{0xff, 0x00}, 4096)}
	for _, context := range contexts {
		dek, err := s.app.GenerateKey(ctx, "app-dek", context)
		ok(t, err)
		if len(dek.Plaintext) != 32 {
			t.Fatalf("a data key of %d bytes, want 32", len(dek.Plaintext))
		}
		plain, err := s.app.Decrypt(ctx, "app-dek", dek.Ciphertext, context)
		ok(t, err)
		same(t, "data key", plain, dek.Plaintext)

		_, err = s.app.Decrypt(ctx, "app-dek", dek.Ciphertext, append(slices.Clone(context), 'x'))
		is(t, err, kes.ErrDecrypt)
		_, err = s.app.Decrypt(ctx, "app-dek-other", dek.Ciphertext, context)
		is(t, err, kes.ErrDecrypt)
		for _, at := range []int{0, len(dek.Ciphertext) / 2, len(dek.Ciphertext) - 1} {
			forged := slices.Clone(dek.Ciphertext)
			forged[at] ^= 1
			_, err = s.app.Decrypt(ctx, "app-dek", forged, context)
			is(t, err, kes.ErrDecrypt)
		}
	}
	// `{}` is a context, not the absence of one: MinIO seals with it.
	dek, err := s.app.GenerateKey(ctx, "app-dek", []byte("{}"))
	ok(t, err)
	_, err = s.app.Decrypt(ctx, "app-dek", dek.Ciphertext, nil)
	is(t, err, kes.ErrDecrypt)

	second, err := s.app.GenerateKey(ctx, "app-dek", []byte("{}"))
	ok(t, err)
	if bytes.Equal(dek.Plaintext, second.Plaintext) || bytes.Equal(dek.Ciphertext, second.Ciphertext) {
		t.Error("two data keys are the same")
	}
	_, err = s.app.GenerateKey(ctx, "app-nobody-made-this", nil)
	is(t, err, kes.ErrKeyNotFound)
	_, err = s.app.Decrypt(ctx, "app-nobody-made-this", dek.Ciphertext, nil)
	is(t, err, kes.ErrKeyNotFound)
}

func (s *stand) encryptAndDecrypt(t *testing.T) {
	ctx := background(t)
	ok(t, s.app.CreateKey(ctx, "app-encrypt"))
	for _, size := range []int{1, 31, 32, 33, 4096, 512 << 10} {
		message := make([]byte, size)
		_, _ = rand.Read(message)
		sealed, err := s.app.Encrypt(ctx, "app-encrypt", message, []byte("where it belongs"))
		ok(t, err)
		if bytes.Contains(sealed, message) && size > 1 {
			t.Errorf("%d bytes were not encrypted", size)
		}
		opened, err := s.app.Decrypt(ctx, "app-encrypt", sealed, []byte("where it belongs"))
		ok(t, err)
		same(t, "message", opened, message)
		_, err = s.app.Decrypt(ctx, "app-encrypt", sealed, nil)
		is(t, err, kes.ErrDecrypt)
	}
	_, err := s.app.Encrypt(ctx, "app-nobody-made-this", []byte("m"), nil)
	is(t, err, kes.ErrKeyNotFound)
}

func (s *stand) hmac(t *testing.T) {
	ctx := background(t)
	ok(t, s.app.CreateKey(ctx, "app-hmac"))
	ok(t, s.app.CreateKey(ctx, "app-hmac-other"))
	sum := func(key, message string) []byte {
		t.Helper()
		mac, err := s.app.HMAC(ctx, key, []byte(message))
		ok(t, err)
		if len(mac) != 32 {
			t.Fatalf("an HMAC of %d bytes, want 32", len(mac))
		}
		return mac
	}
	first := sum("app-hmac", "root access key")
	same(t, "hmac", sum("app-hmac", "root access key"), first)
	if bytes.Equal(sum("app-hmac", "root secret key"), first) || bytes.Equal(sum("app-hmac-other", "root access key"), first) {
		t.Error("another message or another key gives the same HMAC")
	}
	_, err := s.app.HMAC(ctx, "app-nobody-made-this", []byte("m"))
	is(t, err, kes.ErrKeyNotFound)
}

func (s *stand) importKey(t *testing.T) {
	ctx := background(t)
	for _, cipher := range []kes.KeyAlgorithm{kes.AES256, kes.ChaCha20} {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		name := "app-import-" + cipher.String()
		twin := name + "-twin"
		ok(t, s.app.ImportKey(ctx, name, &kes.ImportKeyRequest{Key: secret, Cipher: cipher}))
		ok(t, s.app.ImportKey(ctx, twin, &kes.ImportKeyRequest{Key: secret, Cipher: cipher}))
		is(t, s.app.ImportKey(ctx, name, &kes.ImportKeyRequest{Key: secret, Cipher: cipher}), kes.ErrKeyExists)

		info, err := s.app.DescribeKey(ctx, name)
		ok(t, err)
		if info.Algorithm != cipher {
			t.Errorf("imported as %v, described as %v", cipher, info.Algorithm)
		}
		// Same bytes, same key: what one seals the other opens.
		dek, err := s.app.GenerateKey(ctx, name, []byte("ctx"))
		ok(t, err)
		plain, err := s.app.Decrypt(ctx, twin, dek.Ciphertext, []byte("ctx"))
		ok(t, err)
		same(t, "data key", plain, dek.Plaintext)
	}
	err := s.app.ImportKey(ctx, "app-import-short", &kes.ImportKeyRequest{Key: make([]byte, 31), Cipher: kes.AES256})
	var kesErr kes.Error
	if !errors.As(err, &kesErr) || kesErr.Status() != http.StatusNotAcceptable {
		t.Errorf("a key of 31 bytes gives %v, want status 406", err)
	}
}

func (s *stand) list(t *testing.T) {
	ctx := background(t)
	var want []string
	for i := range 120 {
		name := fmt.Sprintf("app-list-%03d", i)
		want = append(want, name)
		ok(t, s.app.CreateKey(ctx, name))
	}
	ok(t, s.admin.CreateKey(ctx, "zzz-last"))

	names, next, err := s.app.ListKeys(ctx, "app-list-", 0)
	ok(t, err)
	if !slices.Equal(names, want) || next != "" {
		t.Errorf("listing app-list-: %d names, continue at %q; want %d and the end", len(names), next, len(want))
	}
	// Without a prefix the SDK asks for a path without its last slash.
	all, next, err := s.admin.ListKeys(ctx, "", -1)
	ok(t, err)
	if !slices.IsSorted(all) || next != "" || !slices.Contains(all, "app-list-119") || !slices.Contains(all, "zzz-last") {
		t.Errorf("listing everything: %q, continue at %q", all, next)
	}
	var walked []string
	iter := kes.ListIter[string]{NextFunc: s.admin.ListKeys}
	for name, err := iter.Next(ctx); !errors.Is(err, io.EOF); name, err = iter.Next(ctx) {
		ok(t, err)
		walked = append(walked, name)
	}
	if !slices.Equal(walked, all) {
		t.Errorf("iterating gives %q, listing %q", walked, all)
	}
	none, next, err := s.admin.ListKeys(ctx, "no-such-prefix", 0)
	ok(t, err)
	if len(none) != 0 || next != "" {
		t.Errorf("listing nothing gives %q, continue at %q", none, next)
	}
	_, _, err = s.app.ListKeys(ctx, "zzz", 0)
	is(t, err, kes.ErrNotAllowed)
}

func (s *stand) deleteKey(t *testing.T) {
	ctx := background(t)
	ok(t, s.app.CreateKey(ctx, "app-delete"))
	sealed, err := s.app.Encrypt(ctx, "app-delete", []byte("m"), nil)
	ok(t, err)
	ok(t, s.app.DeleteKey(ctx, "app-delete"))
	_, err = s.app.Decrypt(ctx, "app-delete", sealed, nil)
	is(t, err, kes.ErrKeyNotFound)
	_, err = s.app.DescribeKey(ctx, "app-delete")
	is(t, err, kes.ErrKeyNotFound)
	is(t, s.app.DeleteKey(ctx, "app-delete"), kes.ErrKeyNotFound)

	// The name is free again, for another key.
	ok(t, s.app.CreateKey(ctx, "app-delete"))
	_, err = s.app.Decrypt(ctx, "app-delete", sealed, nil)
	is(t, err, kes.ErrDecrypt)

	ok(t, s.app.CreateKey(ctx, "app-locked"))
	is(t, s.app.DeleteKey(ctx, "app-locked"), kes.ErrNotAllowed) // deny wins
	ok(t, s.admin.DeleteKey(ctx, "app-locked"))
}

func (s *stand) notAllowed(t *testing.T) {
	ctx := background(t)
	ok(t, s.admin.CreateKey(ctx, "other-key"))
	for who, client := range map[string]*kes.Client{"a policy for other keys": s.app, "no policy": s.stranger} {
		_, describe := client.DescribeKey(ctx, "other-key")
		_, generate := client.GenerateKey(ctx, "other-key", nil)
		_, encrypt := client.Encrypt(ctx, "other-key", []byte("m"), nil)
		_, decrypt := client.Decrypt(ctx, "other-key", make([]byte, 60), nil)
		_, mac := client.HMAC(ctx, "other-key", []byte("m"))
		_, _, list := client.ListKeys(ctx, "", 0)
		_, absent := client.DescribeKey(ctx, "other-key-that-is-not-there")
		for what, err := range map[string]error{
			"create":   client.CreateKey(ctx, "other-key-2"),
			"import":   client.ImportKey(ctx, "other-key-3", &kes.ImportKeyRequest{Key: make([]byte, 32), Cipher: kes.AES256}),
			"delete":   client.DeleteKey(ctx, "other-key"),
			"describe": describe, "generate": generate, "encrypt": encrypt, "decrypt": decrypt, "hmac": mac, "list": list,
			"describe of an absent key": absent,
		} {
			if !errors.Is(err, kes.ErrNotAllowed) {
				t.Errorf("%s with %s gives %v, want %v", what, who, err, kes.ErrNotAllowed)
			}
		}
	}
	if version, err := s.stranger.Version(ctx); err != nil || version == "" {
		t.Errorf("the version is open to all, yet a stranger gets %q, %v", version, err)
	}
	_, err := s.stranger.Status(ctx)
	is(t, err, kes.ErrNotAllowed)
	if _, err := s.admin.DescribeKey(ctx, "other-key"); err != nil {
		t.Errorf("a refused delete took effect: %v", err)
	}
}

func (s *stand) withAPIKey(t *testing.T) {
	ctx := background(t)
	if got, want := kesd.IdentityOf(t, s.apiKey.String()), s.apiKey.Identity().String(); got != want {
		t.Errorf("`kes identity of` an API key says %s, the SDK %s", got, want)
	}
	client, err := kes.NewClient(s.URL, s.apiKey)
	ok(t, err)
	// The server's certificate is its own; nothing else in this client is ours.
	transport, is := client.HTTPClient.Transport.(*http.Transport)
	if !is {
		t.Fatalf("the SDK's transport is a %T", client.HTTPClient.Transport)
	}
	transport.TLSClientConfig.RootCAs = s.TLSWith(tls.Certificate{}).RootCAs
	ok(t, client.CreateKey(ctx, "app-by-api-key"))
	info, err := client.DescribeKey(ctx, "app-by-api-key")
	ok(t, err)
	if info.CreatedBy != s.apiKey.Identity() {
		t.Errorf("created by %s, want %s", info.CreatedBy, s.apiKey.Identity())
	}

	stranger, err := kes.GenerateAPIKey(rand.Reader)
	ok(t, err)
	cert, err := kes.GenerateCertificate(stranger)
	ok(t, err)
	err = kes.NewClientWithConfig(s.URL, s.TLSWith(cert)).CreateKey(ctx, "app-by-another")
	if !errors.Is(err, kes.ErrNotAllowed) {
		t.Errorf("an unknown API key gives %v, want %v", err, kes.ErrNotAllowed)
	}

	// The other way round: a key that `kes identity new` printed opens the server through the SDK.
	ours, err := kes.ParseAPIKey(kesd.NewAPIKey(t))
	ok(t, err)
	if got, want := kesd.IdentityOf(t, ours.String()), ours.Identity().String(); got != want {
		t.Errorf("`kes identity of` our own API key says %s, the SDK %s", got, want)
	}
}

func (s *stand) describeIdentity(t *testing.T) {
	ctx := background(t)
	info, err := s.admin.DescribeIdentity(ctx, kes.Identity(s.appID.ID))
	ok(t, err)
	if info.Identity.String() != s.appID.ID || info.Policy != "app" || info.IsAdmin {
		t.Errorf("described as %+v, want policy app and no admin", info)
	}
	self, _, err := s.admin.DescribeSelf(ctx)
	ok(t, err)
	if self.Identity.String() != s.Admin.ID || !self.IsAdmin {
		t.Errorf("the admin describes itself as %+v", self)
	}
	policies, _, err := s.admin.ListPolicies(ctx, "", 0)
	ok(t, err)
	if !slices.Equal(policies, []string{"app"}) {
		t.Errorf("policies: %q", policies)
	}
	policy, err := s.admin.GetPolicy(ctx, "app")
	ok(t, err)
	if _, found := policy.Allow["/v1/status"]; !found || len(policy.Allow) != 3 || len(policy.Deny) != 1 {
		t.Errorf("policy app: %+v", policy)
	}
	identities, _, err := s.admin.ListIdentities(ctx, "", 0)
	ok(t, err)
	if !slices.Contains(identities, kes.Identity(s.appID.ID)) || !slices.Contains(identities, s.apiKey.Identity()) {
		t.Errorf("identities: %q", identities)
	}
}

// background is a context that ends with the test, and long before the time limit of `go test`.
func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got the error %v, want %v", err, want)
	}
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs: %d bytes, want %d", what, len(got), len(want))
	}
}
