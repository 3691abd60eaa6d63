package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kes/tests/kesd"
)

// The key that is always there, and the one whose stored value is no key.
const (
	lasting = "lasting"
	corrupt = "corrupt"
)

type soak struct {
	t       *testing.T
	server  *kesd.Server
	user    kesd.Identity // what it may do changes with each reload
	base    string        // the configuration file as it was made
	keyDir  string
	counts  *counts
	fault   *fault
	reloads int
	made    atomic.Int64

	mu      sync.Mutex
	clients []*http.Transport
}

func newSoak(t *testing.T, server *kesd.Server) *soak {
	text, err := os.ReadFile(server.Config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &soak{
		t:      t,
		server: server,
		user:   kesd.NewIdentity(t, dir, "user"),
		base:   string(text),
		keyDir: strings.TrimSuffix(server.Config, "config.yaml") + "keys",
		counts: &counts{kind: map[string]count{}},
		fault:  &fault{},
	}
}

// writeConfig replaces the configuration file: short-lived cache entries, and policies that take turns.
func (s *soak) writeConfig(generation int) {
	rules := []string{"allow:\n      - /v1/key/*", "deny:\n      - '*'", "allow:\n      - /v1/key/generate/last*\n      - /v1/status"}
	text := s.base + fmt.Sprintf("cache:\n  expiry:\n    any: 2s\n    unused: 1s\n"+
		"policy:\n  user-%d:\n    %s\n    identities:\n      - %s\n", generation, rules[generation%len(rules)], s.user.ID)
	next := s.server.Config + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		s.t.Error(err)
	}
	if err := os.Rename(next, s.server.Config); err != nil {
		s.t.Error(err)
	}
}

// prepare makes what the churn uses.
func (s *soak) prepare() {
	client := s.http2(s.server.Admin)
	for _, name := range []string{lasting, corrupt} {
		if err := call(s.t.Context(), client, s.server.URL, http.MethodPut, "/v1/key/create/"+name, nil, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.keyDir+"/"+corrupt, []byte("this is no key"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// checkKeys removes the keys that faults left behind, and checks that there are no others.
func (s *soak) checkKeys() {
	client := s.http2(s.server.Admin)
	for {
		var page struct {
			Names []string `json:"names"`
		}
		err := call(s.t.Context(), client, s.server.URL, http.MethodGet, "/v1/key/list/churn-*", nil, &page)
		if err != nil {
			s.t.Errorf("list: %v", err)
		}
		if err != nil || len(page.Names) == 0 {
			return
		}
		for _, name := range page.Names {
			if err := call(s.t.Context(), client, s.server.URL, http.MethodDelete, "/v1/key/delete/"+name, nil, nil); err != nil {
				s.t.Errorf("delete: %v", err)
				return
			}
		}
	}
}

// pause waits, and reports whether to go on.
func pause(ctx context.Context, length time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(length):
		return true
	}
}

func upTo(length time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(length)))
}

func (s *soak) client(id kesd.Identity, protocols func(*http.Protocols), config func(*tls.Config)) *http.Client {
	transport := &http.Transport{TLSClientConfig: s.server.TLS(s.t, id), Protocols: &http.Protocols{}}
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	protocols(transport.Protocols)
	if config != nil {
		config(transport.TLSClientConfig)
	}
	s.mu.Lock()
	s.clients = append(s.clients, transport)
	s.mu.Unlock()
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func (s *soak) http1(id kesd.Identity) *http.Client {
	return s.client(id, func(p *http.Protocols) { p.SetHTTP1(true) }, nil)
}

func (s *soak) http2(id kesd.Identity) *http.Client {
	return s.client(id, func(p *http.Protocols) { p.SetHTTP2(true) }, nil)
}

// closeIdle closes the connections of all clients.
func (s *soak) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range s.clients {
		client.CloseIdleConnections()
	}
	s.clients = nil
}

type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

// call makes one request; `in` and `out` are JSON bodies.
func call(ctx context.Context, client *http.Client, url, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url+path, body)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return &statusError{res.StatusCode, strings.TrimSpace(string(text))}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

type body map[string][]byte

// keys makes a key, uses it and deletes it, over connections that are kept.
func (s *soak) keys(ctx context.Context, client *http.Client) {
	for ctx.Err() == nil {
		name := fmt.Sprintf("churn-%d", s.made.Add(1))
		start := time.Now()
		s.note("key created, used and deleted", start, s.life(client, name))
		for range 20 {
			start := time.Now()
			s.note("data key made and opened", start, s.dataKey(client, lasting))
		}
		start = time.Now()
		err := call(context.Background(), client, s.server.URL, http.MethodPut, "/v1/key/generate/"+corrupt, body{}, nil)
		if status := (*statusError)(nil); errors.As(err, &status) && status.status == http.StatusBadGateway {
			err = nil
		} else if err == nil {
			err = errors.New("a corrupt key works")
		}
		s.note("corrupt key refused", start, err)
	}
}

// life is all that happens to one key. What began is brought to its end, also when time is over.
func (s *soak) life(client *http.Client, name string) error {
	do := func(method, path string) error {
		return call(context.Background(), client, s.server.URL, method, path+name, nil, nil)
	}
	if err := do(http.MethodPut, "/v1/key/create/"); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := s.dataKey(client, name); err != nil {
		return err
	}
	if err := do(http.MethodDelete, "/v1/key/delete/"); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	var status *statusError
	if err := s.dataKey(client, name); !errors.As(err, &status) || status.status != http.StatusNotFound {
		return fmt.Errorf("a deleted key: %v", err)
	}
	return nil
}

func (s *soak) dataKey(client *http.Client, name string) error {
	var made, opened struct{ Plaintext, Ciphertext []byte }
	background, bound := context.Background(), []byte("context")
	err := call(background, client, s.server.URL, http.MethodPut, "/v1/key/generate/"+name, body{"context": bound}, &made)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	in := body{"ciphertext": made.Ciphertext, "context": bound}
	if err := call(background, client, s.server.URL, http.MethodPut, "/v1/key/decrypt/"+name, in, &opened); err != nil {
		return fmt.Errorf("decrypt: %w", err)
	}
	if len(opened.Plaintext) != 32 || !bytes.Equal(opened.Plaintext, made.Plaintext) {
		return errors.New("decrypt: another plaintext")
	}
	return nil
}

// connections makes one request on each connection: new ones, resumed ones, of both versions of HTTP and of TLS.
func (s *soak) connections(ctx context.Context) {
	for ctx.Err() == nil {
		protocols := func(p *http.Protocols) { p.SetHTTP1(true) }
		if rand.IntN(2) == 0 {
			protocols = func(p *http.Protocols) { p.SetHTTP2(true) }
		}
		config := func(c *tls.Config) {
			if rand.IntN(3) == 0 {
				c.MaxVersion = tls.VersionTLS12
			}
		}
		client := s.client(s.server.Admin, protocols, config)
		for range 4 {
			start := time.Now()
			err := call(context.Background(), client, s.server.URL, http.MethodGet, "/version", nil, nil)
			s.note("connection for one request", start, err)
			client.CloseIdleConnections()
		}
		pause(ctx, upTo(20*time.Millisecond))
	}
}

// governed uses a key as somebody whose policy changes with each reload: allowed or not, but nothing else.
func (s *soak) governed(ctx context.Context) {
	client := s.http2(s.user)
	for pause(ctx, upTo(20*time.Millisecond)) {
		start := time.Now()
		err := s.dataKey(client, lasting)
		if status := (*statusError)(nil); errors.As(err, &status) && status.status == http.StatusForbidden {
			err = nil
		}
		s.note("request under a changing policy", start, err)
	}
}

// cancelled gives requests up soon after they were sent.
func (s *soak) cancelled(ctx context.Context) {
	client := s.http2(s.server.Admin)
	for ctx.Err() == nil {
		start := time.Now()
		short, cancel := context.WithTimeout(context.Background(), upTo(4*time.Millisecond))
		in := body{"message": make([]byte, rand.IntN(300_000))}
		err := call(short, client, s.server.URL, http.MethodPut, "/v1/key/hmac/"+lasting, in, nil)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		cancel()
		s.note("request given up", start, err)
	}
}

// broken breaks connections off in the middle of a request.
func (s *soak) broken(ctx context.Context) {
	config := s.server.TLS(s.t, s.server.Admin)
	request := "PUT /v1/key/hmac/" + lasting + " HTTP/1.1\r\nHost: kes\r\nContent-Length: 1000\r\n\r\n{\"message\":"
	for pause(ctx, upTo(20*time.Millisecond)) {
		start := time.Now()
		conn, err := net.DialTimeout("tcp", s.server.Addr, 10*time.Second)
		if err == nil {
			_ = conn.SetDeadline(start.Add(15 * time.Second))
			session := tls.Client(conn, withHost(config))
			if _, err = session.Write([]byte(request[:rand.IntN(len(request)+1)])); err == nil && rand.IntN(2) == 0 {
				_ = conn.(*net.TCPConn).SetLinger(0) // a reset instead of an orderly end
			}
			_ = conn.Close()
		}
		s.note("connection broken off", start, err)
	}
}

func withHost(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ServerName = "localhost"
	return config
}

// halfOpen says nothing, or half of something, and waits for the server to close.
func (s *soak) halfOpen(ctx context.Context) {
	said := [][]byte{nil, {0x16, 3, 1, 2}, []byte("GET / HTTP/1.1\r\n"), bytes.Repeat([]byte{0x55}, 100)}
	for ctx.Err() == nil {
		start := time.Now()
		conn, err := net.DialTimeout("tcp", s.server.Addr, 10*time.Second)
		if err == nil {
			_ = conn.SetDeadline(start.Add(15 * time.Second))
			_, _ = conn.Write(said[rand.IntN(len(said))])
			_, err = io.Copy(io.Discard, conn)
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil // a reset is an end, too
			}
			_ = conn.Close()
		}
		s.note("half-open connection closed by the server", start, err)
		pause(ctx, upTo(time.Second))
	}
}

// logs reads the server's logs for a while, some of them without reading what comes.
func (s *soak) logs(ctx context.Context) {
	for ctx.Err() == nil {
		client := s.http1(s.server.Admin)
		if rand.IntN(2) == 0 {
			client = s.http2(s.server.Admin)
		}
		client.Timeout = 0
		path := []string{"/v1/log/audit", "/v1/log/error"}[rand.IntN(2)]
		start := time.Now()
		short, cancel := context.WithTimeout(ctx, time.Second+upTo(8*time.Second))
		s.note("log read", start, s.readLog(short, client, path, rand.IntN(2) == 0))
		cancel()
		client.CloseIdleConnections()
	}
}

func (s *soak) readLog(ctx context.Context, client *http.Client, path string, stalls bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return &statusError{status: res.StatusCode}
	}
	if stalls {
		<-ctx.Done()
		return nil
	}
	_, err = io.Copy(io.Discard, res.Body)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
