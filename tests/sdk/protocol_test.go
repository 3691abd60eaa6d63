package sdk

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/minio/kms-go/kes"
)

// connections collects the state of every connection that a client makes, full handshake or resumed.
type connections struct {
	mu     sync.Mutex
	states []tls.ConnectionState
}

// watch makes a TLS configuration report to these connections.
func (c *connections) watch(config *tls.Config) *tls.Config {
	config.VerifyConnection = func(state tls.ConnectionState) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.states = append(c.states, state)
		return nil
	}
	return config
}

func (c *connections) all() []tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]tls.ConnectionState(nil), c.states...)
}

// protocols repeats a round trip over each HTTP and TLS version, on a new connection each time. The SDK sends bodies of
// undeclared length: chunked on HTTP/1.1, bare data frames on HTTP/2. MinIO resumes sessions: who comes back must be who
// it was.
func (s *stand) protocols(t *testing.T) {
	ctx := background(t)
	ok(t, s.app.CreateKey(ctx, "app-protocol"))
	for alpn, major := range map[string]int{"http/1.1": 1, "h2": 2} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprintf("%s over %s", alpn, tls.VersionName(version)), func(t *testing.T) {
				var made connections
				config := made.watch(s.TLS(t, s.appID))
				config.MinVersion, config.MaxVersion, config.NextProtos = version, version, []string{alpn}
				config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
				transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: major == 2}
				client := &kes.Client{Endpoints: []string{s.URL}, HTTPClient: http.Client{
					Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
						res, err := transport.RoundTrip(req)
						if err == nil && res.ProtoMajor != major {
							t.Errorf("asked for %s, got %s", alpn, res.Proto)
						}
						return res, err
					}),
				}}
				const rounds = 5
				for range rounds {
					ok(t, roundTrip(ctx, client, "app-protocol"))
					self, _, err := client.DescribeSelf(ctx)
					ok(t, err)
					if self.Identity.String() != s.appID.ID || self.Policy != "app" {
						t.Errorf("on a resumed session the server sees %+v", self)
					}
					transport.CloseIdleConnections()
				}
				states := made.all()
				if len(states) != rounds {
					t.Errorf("%d connections, want one a round: %d", len(states), rounds)
				}
				for at, state := range states {
					if state.DidResume != (at > 0) {
						t.Errorf("connection %d: resumed %v", at, state.DidResume)
					}
					if state.Version != version || state.NegotiatedProtocol != alpn {
						t.Errorf("connection %d: %s over %s", at, state.NegotiatedProtocol, tls.VersionName(state.Version))
					}
				}
			})
		}
	}
}

// TestTheClientOfTheSDKResumes leaves the transport to the SDK: 64 callers, connection after connection.
func TestTheClientOfTheSDKResumes(t *testing.T) {
	s := start(t, false)
	ctx := background(t)
	ok(t, s.app.CreateKey(ctx, "app-resumed"))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var made connections
		cache := tls.NewLRUClientSessionCache(2 * callers)
		together(t, callers, func(int) error {
			config := made.watch(s.TLSWith(tls.Certificate{}))
			cert, err := tls.LoadX509KeyPair(s.appID.CertFile, s.appID.KeyFile)
			if err != nil {
				return err
			}
			config.Certificates = []tls.Certificate{cert}
			config.MinVersion, config.MaxVersion, config.ClientSessionCache = version, version, cache
			client := kes.NewClientWithConfig(s.URL, config)
			for range 3 {
				if err := roundTrip(ctx, client, "app-resumed"); err != nil {
					return err
				}
				self, _, err := client.DescribeSelf(ctx)
				if err != nil || self.Identity.String() != s.appID.ID {
					return fmt.Errorf("the server sees %+v: %w", self, err)
				}
				client.HTTPClient.CloseIdleConnections()
			}
			return nil
		})
		resumed := 0
		for _, state := range made.all() {
			if state.DidResume {
				resumed++
			}
		}
		// The first connections may all be made before any session is known; those after them may not.
		if all := len(made.all()); resumed < all-callers || resumed == 0 {
			t.Errorf("%s: %d of %d connections were resumed", tls.VersionName(version), resumed, all)
		}
	}
}

// TestAResumedStrangerStaysAStranger resumes the session of an identity without a policy.
func TestAResumedStrangerStaysAStranger(t *testing.T) {
	s := start(t, false)
	ctx := background(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := tls.NewLRUClientSessionCache(8)
		config := s.TLS(t, s.strangeID)
		config.MinVersion, config.MaxVersion, config.ClientSessionCache = version, version, cache
		stranger := kes.NewClientWithConfig(s.URL, config)
		for range 3 {
			is(t, stranger.CreateKey(ctx, "app-stolen"), kes.ErrNotAllowed)
			stranger.HTTPClient.CloseIdleConnections()
		}
		// The same cache under another certificate: full handshake or the stranger's session, never more than either.
		config = s.TLS(t, s.appID)
		config.MinVersion, config.MaxVersion, config.ClientSessionCache = version, version, cache
		switch self, _, err := kes.NewClientWithConfig(s.URL, config).DescribeSelf(ctx); {
		case err == nil && self.Identity.String() == s.appID.ID:
		case err != nil:
			is(t, err, kes.ErrIdentityNotFound)
		default:
			t.Errorf("%s: the session of a stranger became %+v", tls.VersionName(version), self)
		}
	}
}
