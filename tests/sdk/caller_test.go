package sdk

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/kms-go/kes"
)

// callers is how many goroutines call at once.
const callers = 64

// overBoth runs a test with a client of each HTTP version. On HTTP/1.1 every caller has its own connection, on HTTP/2
// all share one.
func (s *stand) overBoth(t *testing.T, config *tls.Config, test func(*testing.T, *kes.Client)) {
	for version, h2 := range map[string]bool{"http1": false, "http2": true} {
		t.Run(version, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: h2, MaxIdleConnsPerHost: callers}
			if !h2 {
				transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			t.Cleanup(transport.CloseIdleConnections)
			test(t, &kes.Client{Endpoints: []string{s.URL}, HTTPClient: http.Client{Transport: transport}})
		})
	}
}

// TestCallersAtOnceDoNotMeet has every caller do everything with a key of its own and with a shared one.
func TestCallersAtOnceDoNotMeet(t *testing.T) {
	s := start(t, true)
	s.overBoth(t, s.TLS(t, s.appID), func(t *testing.T, client *kes.Client) {
		ctx := background(t)
		ok(t, client.CreateKey(ctx, "app-shared"))
		shared, err := client.HMAC(ctx, "app-shared", []byte("message"))
		ok(t, err)
		together(t, callers, func(caller int) error {
			name := fmt.Sprintf("app-own-%02d", caller)
			where := []byte(name)
			if err := client.CreateKey(ctx, name); err != nil {
				return err
			}
			for range 3 {
				for _, key := range []string{name, "app-shared"} {
					dek, err := client.GenerateKey(ctx, key, where)
					if err != nil {
						return err
					}
					plain, err := client.Decrypt(ctx, key, dek.Ciphertext, where)
					if err != nil || !bytes.Equal(plain, dek.Plaintext) {
						return fmt.Errorf("%s: the data key of %s: %v", name, key, err)
					}
					sealed, err := client.Encrypt(ctx, key, where, nil)
					if err != nil {
						return err
					}
					opened, err := client.Decrypt(ctx, key, sealed, nil)
					if err != nil || !bytes.Equal(opened, where) {
						return fmt.Errorf("%s: opened %q: %v", name, opened, err)
					}
				}
				if sum, err := client.HMAC(ctx, "app-shared", []byte("message")); err != nil || !bytes.Equal(sum, shared) {
					return fmt.Errorf("%s: another hmac: %v", name, err)
				}
				if info, err := client.DescribeKey(ctx, name); err != nil || info.Name != name {
					return fmt.Errorf("%s is described as %+v: %v", name, info, err)
				}
				if names, _, err := client.ListKeys(ctx, name, 0); err != nil || len(names) != 1 || names[0] != name {
					return fmt.Errorf("%s is listed as %q: %v", name, names, err)
				}
			}
			return client.DeleteKey(ctx, name)
		})
		ok(t, client.DeleteKey(ctx, "app-shared"))
		names, _, err := client.ListKeys(ctx, "app-", 0)
		ok(t, err)
		if len(names) != 0 {
			t.Errorf("left behind: %q", names)
		}
		s.isWell(t)
	})
}

// TestOneOfManyCreatorsWins has all callers create, import and delete the same key.
func TestOneOfManyCreatorsWins(t *testing.T) {
	for _, files := range []bool{false, true} {
		s := start(t, files)
		s.overBoth(t, s.TLS(t, s.appID), func(t *testing.T, client *kes.Client) {
			ctx := background(t)
			once := func(what string, call func(caller int) error, lost error) {
				t.Helper()
				var won atomic.Int32
				together(t, callers, func(caller int) error {
					err := call(caller)
					if err == nil {
						won.Add(1)
					} else if !errors.Is(err, lost) {
						return err
					}
					return nil
				})
				if won.Load() != 1 {
					t.Errorf("%s succeeded %d times", what, won.Load())
				}
			}
			once("create", func(int) error { return client.CreateKey(ctx, "app-one") }, kes.ErrKeyExists)
			once("delete", func(int) error { return client.DeleteKey(ctx, "app-one") }, kes.ErrKeyNotFound)
			once("import", func(caller int) error {
				return client.ImportKey(ctx, "app-one", &kes.ImportKeyRequest{Key: bytes.Repeat([]byte{byte(caller)}, 32), Cipher: kes.AES256})
			}, kes.ErrKeyExists)
			ok(t, client.DeleteKey(ctx, "app-one"))
		})
	}
}

// TestCancelledCallsLeaveTheServerWell cancels calls of all kinds in mid-call, each at a point of its own.
func TestCancelledCallsLeaveTheServerWell(t *testing.T) {
	s := start(t, true)
	s.overBoth(t, s.TLS(t, s.appID), func(t *testing.T, client *kes.Client) {
		ctx := background(t)
		ok(t, client.CreateKey(ctx, "app-kept"))
		dek, err := client.GenerateKey(ctx, "app-kept", nil)
		ok(t, err)
		message := bytes.Repeat([]byte("message "), 4096)
		var cancelled atomic.Int32
		together(t, callers, func(caller int) error {
			for round := range 4 {
				for at, point := range points {
					name := fmt.Sprintf("app-cancelled-%02d-%d-%d", caller, round, at)
					calls := []func(context.Context) error{
						func(ctx context.Context) error { return client.CreateKey(ctx, name) },
						func(ctx context.Context) error {
							return client.ImportKey(ctx, name, &kes.ImportKeyRequest{Key: make([]byte, 32), Cipher: kes.AES256})
						},
						func(ctx context.Context) error {
							_, err := client.Decrypt(ctx, "app-kept", dek.Ciphertext, nil)
							return err
						},
						func(ctx context.Context) error { _, err := client.Encrypt(ctx, "app-kept", message, nil); return err },
						func(ctx context.Context) error { _, _, err := client.ListKeys(ctx, "app-", 0); return err },
						func(ctx context.Context) error { _, _, err := client.DescribeSelf(ctx); return err },
					}
					err := cutShort(ctx, point, calls[(caller+round+at)%len(calls)])
					if errors.Is(err, context.Canceled) {
						cancelled.Add(1)
					} else if err != nil {
						return fmt.Errorf("%s: a cancelled call gives %w", name, err)
					}
				}
			}
			return nil
		})
		if cancelled.Load() < callers {
			t.Errorf("only %d calls were cancelled in time", cancelled.Load())
		}
		// What was being created is there or is not, is never half there, and the name is never lost.
		names, _, err := client.ListKeys(ctx, "app-cancelled-", 0)
		ok(t, err)
		there := map[string]bool{}
		for _, name := range names {
			there[name] = true
		}
		together(t, callers, func(caller int) error {
			for round := range 4 {
				for at := range points {
					name := fmt.Sprintf("app-cancelled-%02d-%d-%d", caller, round, at)
					err := client.CreateKey(ctx, name)
					if err != nil && !errors.Is(err, kes.ErrKeyExists) || err == nil && there[name] {
						return fmt.Errorf("%s, listed: %v: created again: %w", name, there[name], err)
					}
					dek, err := client.GenerateKey(ctx, name, []byte("ctx"))
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
					if plain, err := client.Decrypt(ctx, name, dek.Ciphertext, []byte("ctx")); err != nil || !bytes.Equal(plain, dek.Plaintext) {
						return fmt.Errorf("%s: the data key: %w", name, err)
					}
					if err := client.DeleteKey(ctx, name); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
			}
			return nil
		})
		ok(t, client.DeleteKey(ctx, "app-kept"))
		s.isWell(t)
	})
}

// points are the moments of a request at which a call is cancelled.
var points = []func(cancel func()) *httptrace.ClientTrace{
	func(cancel func()) *httptrace.ClientTrace {
		return &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { cancel() }}
	},
	func(cancel func()) *httptrace.ClientTrace { return &httptrace.ClientTrace{WroteHeaders: cancel} },
	func(cancel func()) *httptrace.ClientTrace {
		return &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }}
	},
	func(cancel func()) *httptrace.ClientTrace {
		return &httptrace.ClientTrace{GotFirstResponseByte: cancel}
	},
}

// cutShort makes a call that is cancelled when its request reaches the given point.
func cutShort(ctx context.Context, point func(func()) *httptrace.ClientTrace, call func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return call(httptrace.WithClientTrace(ctx, point(cancel)))
}

// isWell checks that the server has failed nobody, and that no request is left active.
func (s *stand) isWell(t *testing.T) {
	t.Helper()
	ctx := background(t)
	for {
		metric, err := s.admin.Metrics(ctx)
		ok(t, err)
		if metric.RequestFail != 0 {
			t.Fatalf("%d requests failed with a status of 500 or more", metric.RequestFail)
		}
		if metric.RequestActive == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond) // between two polls, until the context ends
	}
	if ready, err := s.admin.IsReady(ctx); err != nil || !ready {
		t.Errorf("the server is not ready: %v", err)
	}
}
