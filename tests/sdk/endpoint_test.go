package sdk

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/minio/kms-go/kes"

	"kes/tests/kesd"
)

// TestADeadEndpointIsNotNoticed gives the SDK two endpoints of which one is dead, each way and in each order.
func TestADeadEndpointIsNotNoticed(t *testing.T) {
	s := start(t, false)
	dead := map[string]string{"refuses": refusing(t), "hangs up": hangingUp(t)}
	for how, addr := range dead {
		for _, deadFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, first=%v", how, deadFirst), func(t *testing.T) {
				ctx := background(t)
				client := kes.NewClientWithConfig(s.URL, s.TLS(t, s.appID))
				client.Endpoints = []string{s.URL, "https://" + addr}
				if deadFirst {
					client.Endpoints[0], client.Endpoints[1] = client.Endpoints[1], client.Endpoints[0]
				}
				together(t, callers, func(caller int) error {
					name := fmt.Sprintf("app-failover-%02d", caller)
					if err := client.CreateKey(ctx, name); err != nil {
						return err
					}
					if err := roundTrip(ctx, client, name); err != nil {
						return err
					}
					return client.DeleteKey(ctx, name)
				})
				names, _, err := client.ListKeys(ctx, "app-", 0)
				ok(t, err)
				if len(names) != 0 {
					t.Errorf("left behind: %q", names)
				}
			})
		}
	}
}

// TestAnEndpointThatDiesIsReplaced kills one of two servers on the same keys under the feet of a client.
func TestAnEndpointThatDiesIsReplaced(t *testing.T) {
	s := start(t, true)
	twin := kesd.StartTwin(t, s.Server)
	ctx := background(t)
	client := kes.NewClientWithConfig(s.URL, s.TLS(t, s.appID))
	client.Endpoints = []string{s.URL, twin.URL}
	ok(t, client.CreateKey(ctx, "app-on-both"))
	for _, server := range []*kesd.Server{twin, s.Server} {
		ok(t, kes.NewClientWithConfig(server.URL, s.TLS(t, s.appID)).DeleteKey(ctx, "app-on-both"))
		ok(t, kes.NewClientWithConfig(server.URL, s.TLS(t, s.appID)).CreateKey(ctx, "app-on-both"))
		server.Kill()
		for range 10 {
			ok(t, roundTrip(ctx, client, "app-on-both"))
		}
		server.Restart(t)
		// Two endpoints aside make the SDK ask both once more: the next turn needs no pause of 30 s.
	}
}

// TestRefusalsDoNotPutAnEndpointAside makes every kind of client error, and sees no request reach the second endpoint.
func TestRefusalsDoNotPutAnEndpointAside(t *testing.T) {
	s := start(t, false)
	ctx := background(t)
	hits := map[string]*atomic.Int32{}
	client := kes.NewClientWithConfig(s.URL, s.TLS(t, s.appID))
	other := proxy(t, s.Addr)
	client.Endpoints = []string{s.URL, "https://" + other}
	for _, endpoint := range []string{s.Addr, other} {
		hits[endpoint] = &atomic.Int32{}
	}
	next := client.HTTPClient.Transport
	client.HTTPClient.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		hits[req.URL.Host].Add(1)
		return next.RoundTrip(req)
	})
	ok(t, client.CreateKey(ctx, "app-first"))
	first, second := s.Addr, other
	if hits[second].Load() != 0 {
		first, second = second, first
	}
	if hits[first].Load() != 1 || hits[second].Load() != 0 {
		t.Fatalf("one call reached the endpoints %d and %d times", hits[first].Load(), hits[second].Load())
	}
	for range 10 {
		_, notFound := client.DescribeKey(ctx, "app-none")
		_, forbidden := client.DescribeKey(ctx, "other-key")
		_, decrypt := client.Decrypt(ctx, "app-first", []byte("not sealed by anyone"), nil)
		for err, status := range map[error]int{
			client.CreateKey(ctx, "app-first"):    http.StatusBadRequest,
			client.CreateKey(ctx, "app-bad.name"): http.StatusBadRequest,
			notFound:                              http.StatusNotFound,
			forbidden:                             http.StatusForbidden,
			decrypt:                               http.StatusBadRequest,
			client.ImportKey(ctx, "app-short", &kes.ImportKeyRequest{Key: []byte("short")}): http.StatusNotAcceptable,
		} {
			var kesErr kes.Error
			if !errors.As(err, &kesErr) || kesErr.Status() != status {
				t.Errorf("got %v, want status %d", err, status)
			}
		}
	}
	ok(t, roundTrip(ctx, client, "app-first"))
	if hits[second].Load() != 0 {
		t.Errorf("%d requests went to the second endpoint, %d to the first", hits[second].Load(), hits[first].Load())
	}
}

// TestNoDataKeyWithoutItsContext fails over after an *answer*: the SDK then sends the second server an empty body. What
// the server must not do is to hand out a data key that is bound to nothing (api.md 7.12). What it does makes the SDK send the body
// once more, so that the caller never learns of it.
func TestNoDataKeyWithoutItsContext(t *testing.T) {
	s := start(t, false)
	s.overBoth(t, s.TLS(t, s.appID), func(t *testing.T, client *kes.Client) {
		ctx := background(t)
		name := "app-bound-" + strings.ToLower(t.Name()[len(t.Name())-5:])
		ok(t, client.CreateKey(ctx, name))
		failed, repeated := int32(0), s.lost(t)
		for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout} {
			for _, failingFirst := range []bool{true, false} {
				addr, asked := failing(t, s, status)
				fresh := &kes.Client{Endpoints: []string{s.URL, addr}, HTTPClient: client.HTTPClient}
				if failingFirst {
					fresh.Endpoints = []string{addr, s.URL}
				}
				for range 4 {
					dek, err := fresh.GenerateKey(ctx, name, []byte("its context"))
					if err != nil {
						t.Errorf("after a %d from another server: %v", status, err)
						continue
					}
					plain, err := client.Decrypt(ctx, name, dek.Ciphertext, []byte("its context"))
					ok(t, err)
					same(t, "data key", plain, dek.Plaintext)
				}
				failed += asked.Load()
				// Put aside by its first answer, it is not asked again, and everything works.
				ok(t, roundTrip(ctx, fresh, name))
			}
		}
		repeated = s.lost(t) - repeated
		if failed == 0 || repeated == 0 {
			t.Errorf("the failing servers were asked %d times, and %d calls lost their body: nothing was tested", failed, repeated)
		}
	})
}

// lost is how many requests the server has sent back because their bodies were lost.
func (s *stand) lost(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(background(t), http.MethodGet, s.URL+"/v1/metrics", nil)
	ok(t, err)
	admin := &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS(t, s.Admin)}}
	res, err := admin.Do(req)
	ok(t, err)
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	ok(t, err)
	for line := range strings.Lines(string(page)) {
		if value, found := strings.CutPrefix(line, `kes_http_request_failure{code="503"} `); found {
			count, err := strconv.Atoi(strings.TrimSpace(value))
			ok(t, err)
			return count
		}
	}
	return 0
}

// roundTrip uses a key in all ways that carry a body.
func roundTrip(ctx context.Context, client *kes.Client, name string) error {
	dek, err := client.GenerateKey(ctx, name, []byte("ctx"))
	if err != nil {
		return fmt.Errorf("generate with %s: %w", name, err)
	}
	plain, err := client.Decrypt(ctx, name, dek.Ciphertext, []byte("ctx"))
	if err != nil || !bytes.Equal(plain, dek.Plaintext) {
		return fmt.Errorf("decrypt with %s: %w", name, err)
	}
	sealed, err := client.Encrypt(ctx, name, []byte("message"), nil)
	if err != nil {
		return fmt.Errorf("encrypt with %s: %w", name, err)
	}
	if _, err := client.Decrypt(ctx, name, sealed, nil); err != nil {
		return fmt.Errorf("decrypt with %s: %w", name, err)
	}
	if _, err := client.HMAC(ctx, name, []byte("message")); err != nil {
		return fmt.Errorf("hmac with %s: %w", name, err)
	}
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

// refusing is an address that refuses connections for as long as the test runs: bound, and nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	ok(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	ok(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	ok(t, err)
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// hangingUp is an address that accepts connections and closes them.
func hangingUp(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) { _ = conn.Close() })
}

// proxy is a second address of the server.
func proxy(t *testing.T, addr string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		to, err := net.Dial("tcp", addr)
		if err != nil {
			_ = conn.Close()
			return
		}
		go pipe(to, conn)
		pipe(conn, to)
	})
}

// failing is a TLS server with the server's own certificate that answers everything with `status`.
func failing(t *testing.T, s *stand, status int) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"message":"out of order"}`))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{s.Certificate.TLS(t)}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, asked
}

func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String()
}

// pipe copies until one side ends, and ends the other.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
