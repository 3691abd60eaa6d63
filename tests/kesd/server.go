// Package kesd starts the `kes` program for the Go tests: makes its certificates and its configuration file, finds a
// port, waits until it answers, restarts it, and ends it with the test. It knows the program only from outside, by its
// command line and its configuration file.
package kesd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	readyLimit = 30 * time.Second // a debug build on a busy machine
	bindTries  = 5                // somebody else may take the port between its choice and its use
	twinHost   = "127.0.0.2"      // a second address of the loopback interface, in the server's certificate too
)

var errExited = errors.New("it has ended")

// Identity is a client (or server) certificate in two files, and the identity that stands for it in policies.
type Identity struct {
	CertFile string
	KeyFile  string
	ID       string // 64 lower-case hexadecimal digits
}

// TLS loads the certificate.
func (i Identity) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(i.CertFile, i.KeyFile)
	if err != nil {
		t.Fatalf("certificate of %s: %v", i.CertFile, err)
	}
	return cert
}

// NewIdentity makes a certificate in the folder `dir` with `kes identity new`; `flags` are passed on.
func NewIdentity(t testing.TB, dir, name string, flags ...string) Identity {
	t.Helper()
	id := Identity{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
	Kes(t, nil, append([]string{"identity", "new", "--key", id.KeyFile, "--cert", id.CertFile}, flags...)...)
	id.ID = IdentityOf(t, id.CertFile)
	return id
}

// IdentityOf asks `kes identity of` for the identity of a certificate file or an API key.
func IdentityOf(t testing.TB, what string) string {
	t.Helper()
	return strings.TrimSpace(Kes(t, nil, "identity", "of", what))
}

// NewAPIKey makes an API key with `kes identity new`.
func NewAPIKey(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(Kes(t, nil, "identity", "new", "--quiet"))
}

// Kes runs the program with `args` and additional environment, and returns its standard output. It must succeed.
func Kes(t testing.TB, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(Bin(t), args...)
	cmd.Env = append(Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kes %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// Policy is one policy of the configuration file.
type Policy struct {
	Allow      []string
	Deny       []string
	Identities []string
}

// Config says what a server is started with.
type Config struct {
	Policies map[string]Policy
	Files    bool   // keep keys in files; else in memory
	More     string // YAML of further top-level keys
	Socket   bool   // listen on a socket that is held here, also while the server restarts, as a service manager does
}

// Server is a running `kes server` on a loopback port that stays the same across restarts.
type Server struct {
	*Process

	Addr        string   // host:port
	URL         string   // https://host:port
	CAFile      string   // what a client must trust: the server's own certificate
	Certificate Identity // that certificate, with its private key
	Admin       Identity // may do everything
	Config      string   // path of the configuration file
	Keys        string   // folder of the keys; empty when they are in memory

	policies map[string]Policy
	more     string
	socket   *os.File // what it listens on, if that is held for it
	ca       *x509.CertPool
}

// Start makes certificates and a configuration in a temporary folder, starts the server and waits until it answers.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	dir := t.TempDir()
	server := NewIdentity(t, dir, "server", "--ip", "127.0.0.1", "--ip", twinHost, "--dns", "localhost", "--expiry", "24h")
	s := &Server{
		CAFile:      server.CertFile,
		Certificate: server,
		Admin:       NewIdentity(t, dir, "admin"),
		Config:      filepath.Join(dir, "config.yaml"),
		policies:    config.Policies,
		more:        config.More,
		ca:          x509.NewCertPool(),
	}
	pem, err := os.ReadFile(server.CertFile)
	if err != nil || !s.ca.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s: %v", server.CertFile, err)
	}
	if config.Files {
		s.Keys = filepath.Join(dir, "keys")
	}
	if config.Socket {
		s.hold(t)
		return s
	}
	s.startSomewhere(t)
	return s
}

// hold opens a socket, and starts the server on it.
func (s *Server) hold(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	// A copy; nothing accepts from it here.
	if s.socket, err = listener.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.socket.Close() })
	s.Addr = listener.Addr().String()
	s.URL = "https://" + s.Addr
	s.configure(t)
	if err := s.run(t); err != nil {
		t.Fatalf("kes does not start: %v\n%s", err, s.Output())
	}
}

// StartTwin starts a second server with the same certificates, policies and keys (in files) on another port.
func StartTwin(t testing.TB, of *Server) *Server {
	t.Helper()
	if of.Keys == "" {
		t.Fatal("servers share keys in files only")
	}
	twin := *of
	twin.Config = filepath.Join(t.TempDir(), "config.yaml")
	twin.startSomewhere(t)
	return &twin
}

// StartNeighbour starts a twin on the same port of the next loopback address, 127.0.0.2.
func StartNeighbour(t testing.TB, of *Server) *Server {
	t.Helper()
	if of.Keys == "" {
		t.Fatal("servers share keys in files only")
	}
	twin := *of
	twin.Config = filepath.Join(t.TempDir(), "config.yaml")
	_, port, err := net.SplitHostPort(of.Addr)
	if err != nil {
		t.Fatal(err)
	}
	twin.Addr = net.JoinHostPort(twinHost, port)
	twin.URL = "https://" + twin.Addr
	twin.configure(t)
	if err := twin.run(t); err != nil {
		t.Fatalf("kes does not start: %v\n%s", err, twin.Output())
	}
	return &twin
}

func (s *Server) configure(t testing.TB) {
	t.Helper()
	text := render(s.Addr, s.Admin.ID, s.Certificate, s.Keys, s.policies) + s.more
	if err := os.WriteFile(s.Config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startSomewhere finds a port and starts the server on it.
func (s *Server) startSomewhere(t testing.TB) {
	t.Helper()
	for try := 1; ; try++ {
		s.Addr = FreeAddr(t)
		s.URL = "https://" + s.Addr
		s.configure(t)
		err := s.run(t)
		if err == nil {
			return
		}
		if try == bindTries || !portTaken(s.Output()) {
			t.Fatalf("kes does not start: %v\n%s", err, s.Output())
		}
	}
}

// Restart starts the server again after it was stopped or killed: same port, same configuration, same files.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	for try := 1; ; try++ {
		err := s.run(t)
		if err == nil {
			return
		}
		if try == bindTries || !portTaken(s.Output()) {
			t.Fatalf("kes does not start again: %v\n%s", err, s.Output())
		}
	}
}

func (s *Server) run(t testing.TB) error {
	t.Helper()
	cmd := exec.Command(Bin(t), "server", "--config", s.Config)
	cmd.Env = Environ()
	if s.socket != nil {
		// sd_listen_fds(3): the first one is 3, and is meant for the process of this number only.
		cmd.Path = "/bin/sh"
		cmd.Args = append([]string{"sh", "-c", `export LISTEN_PID=$$; exec "$0" "$@"`}, cmd.Args...)
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
		cmd.ExtraFiles = []*os.File{s.socket}
	}
	s.Process = Run(t, "kes", cmd)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS(t, s.Admin), DisableKeepAlives: true}}
	return s.await(readyLimit, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/ready", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("/v1/ready: %s %s", res.Status, body)
		}
		return nil
	})
}

// TLS is the client side of a connection to the server as `id`.
func (s *Server) TLS(t testing.TB, id Identity) *tls.Config {
	t.Helper()
	return s.TLSWith(id.TLS(t))
}

// TLSWith is the client side of a connection to the server with a certificate in memory.
func (s *Server) TLSWith(cert tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.ca, Certificates: []tls.Certificate{cert}}
}

// FreeAddr asks the kernel for a free port on 127.0.0.1. Whoever uses it must be ready to find it taken.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// portTaken recognises EADDRINUSE in the words of any program.
func portTaken(output string) bool {
	return strings.Contains(strings.ToLower(output), "in use")
}

// Environ is the environment without settings of the developer's own kes and MinIO.
func Environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "KES_") && !strings.HasPrefix(e, "MINIO_") {
			env = append(env, e)
		}
	}
	return env
}

// render writes a configuration file. Quoted Go strings without control characters are quoted YAML strings.
func render(addr, admin string, server Identity, keys string, policies map[string]Policy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "address: %s\nadmin:\n  identity: %s\n", addr, admin)
	fmt.Fprintf(&b, "tls:\n  key: %s\n  cert: %s\n", strconv.Quote(server.KeyFile), strconv.Quote(server.CertFile))
	if keys != "" {
		fmt.Fprintf(&b, "keystore:\n  fs:\n    path: %s\n", strconv.Quote(keys))
	}
	if len(policies) > 0 {
		b.WriteString("policy:\n")
	}
	names := make([]string, 0, len(policies))
	for name := range policies {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&b, "  %s:\n", name)
		list(&b, "allow", policies[name].Allow)
		list(&b, "deny", policies[name].Deny)
		list(&b, "identities", policies[name].Identities)
	}
	return b.String()
}

func list(b *strings.Builder, key string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "    %s:\n", key)
	for _, item := range items {
		fmt.Fprintf(b, "      - %s\n", strconv.Quote(item))
	}
}
