package sdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/kms-go/kes"
)

// brokenKey is a name whose record in the keystore is not a key: whoever uses it makes the server log an error.
const brokenKey = "app-broken"

func (m *methods) auditLog(t *testing.T) {
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	stream, err := m.admin.AuditLog(ctx)
	ok(t, err)
	before := time.Now()
	ok(t, m.app.CreateKey(ctx, "app-audited"))
	is(t, m.app.CreateKey(ctx, "app-audited"), kes.ErrKeyExists)
	_, err = m.stranger.DescribeKey(ctx, "app-audited")
	is(t, err, kes.ErrNotAllowed)
	_, err = m.app.DescribeKey(ctx, "app-nobody")
	is(t, err, kes.ErrKeyNotFound)
	ok(t, m.app.DeleteKey(ctx, "app-audited"))
	elapsed := time.Since(before)
	for _, want := range []struct {
		path, who string
		status    int
	}{
		{"/v1/key/create/app-audited", m.appID.ID, 200},
		{"/v1/key/create/app-audited", m.appID.ID, 400},
		{"/v1/key/describe/app-audited", m.strangeID.ID, 403},
		{"/v1/key/describe/app-nobody", m.appID.ID, 404},
		{"/v1/key/delete/app-audited", m.appID.ID, 200},
	} {
		event := nextAudit(t, stream)
		if event.APIPath != want.path || event.StatusCode != want.status || event.ClientIdentity.String() != want.who {
			t.Errorf("event %+v, want %+v", event, want)
		}
		if !event.ClientIP.Equal(net.IPv4(127, 0, 0, 1)) {
			t.Errorf("%s came from %v", event.APIPath, event.ClientIP)
		}
		if event.Timestamp.Before(before.Add(-time.Second)) || event.Timestamp.After(before.Add(elapsed+time.Second)) {
			t.Errorf("%s happened at %v, this test began at %v", event.APIPath, event.Timestamp, before)
		}
		// Nanoseconds: in milliseconds it would be nothing, in a finer unit longer than the test.
		if event.ResponseTime < time.Microsecond || event.ResponseTime > elapsed {
			t.Errorf("%s took %v of %v", event.APIPath, event.ResponseTime, elapsed)
		}
	}
	ok(t, stream.Close())
	_, err = m.stranger.AuditLog(ctx)
	is(t, err, kes.ErrNotAllowed)
}

// nextAudit skips the events of other streams that opened meanwhile.
func nextAudit(t *testing.T, stream *kes.AuditStream) kes.AuditEvent {
	t.Helper()
	for stream.Next() {
		if event := stream.Event(); !strings.HasPrefix(event.APIPath, "/v1/log/") {
			return event
		}
	}
	t.Fatalf("the audit log ended: %v", stream.Close())
	return kes.AuditEvent{}
}

func (m *methods) errorLog(t *testing.T) {
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	m.breakKey(t)
	stream, err := m.admin.ErrorLog(ctx)
	ok(t, err)
	m.useBrokenKey(t)
	if !stream.Next() {
		t.Fatalf("the error log ended: %v", stream.Close())
	}
	message := stream.Message()
	if message != stream.Event().Message || strings.Contains(message, "\n") {
		t.Errorf("message %q, event %+v", message, stream.Event())
	}
	for _, part := range []string{"level=ERROR", "req.method=", "req.path=/v1/key/describe/" + brokenKey, "req.ip=127.0.0.1", "req.identity=" + m.appID.ID} {
		if !strings.Contains(message, part) {
			t.Errorf("%s is not in %q", part, message)
		}
	}
	if strings.Contains(message, "precious") {
		t.Errorf("the error log shows what the keystore holds: %q", message)
	}
	ok(t, stream.Close())
	_, err = m.stranger.ErrorLog(ctx)
	is(t, err, kes.ErrNotAllowed)
}

func (m *methods) auditCopy(t *testing.T) { _ = m.auditSaved(t) }
func (m *methods) errorCopy(t *testing.T) { _ = m.errorsSaved(t) }

// auditSaved copies the audit log with WriteTo until an event has arrived, and returns what was copied.
func (m *methods) auditSaved(t *testing.T) []byte {
	t.Helper()
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	stream, err := m.admin.AuditLog(ctx)
	ok(t, err)
	_, err = m.app.DescribeKey(ctx, "app-copy-audit")
	is(t, err, kes.ErrKeyNotFound)
	return copied(t, cancel, stream.WriteTo, "app-copy-audit")
}

func (m *methods) errorsSaved(t *testing.T) []byte {
	t.Helper()
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	m.breakKey(t)
	stream, err := m.admin.ErrorLog(ctx)
	ok(t, err)
	m.useBrokenKey(t)
	return copied(t, cancel, stream.WriteTo, brokenKey)
}

// breakKey plants a record that is not a key.
func (m *methods) breakKey(t *testing.T) {
	t.Helper()
	ok(t, os.WriteFile(filepath.Join(m.Keys, brokenKey), []byte("precious, and not a key"), 0o600))
}

func (m *methods) useBrokenKey(t *testing.T) {
	t.Helper()
	_, err := m.app.DescribeKey(background(t), brokenKey)
	var kesErr kes.Error
	if !errors.As(err, &kesErr) || kesErr.Status() < 500 {
		t.Fatalf("a record that is not a key gives %v, want a status of 500 or more", err)
	}
	if strings.Contains(err.Error(), "precious") {
		t.Errorf("the client is told what the keystore holds: %v", err)
	}
}

// copied runs `writeTo` until `what` and the end of its line have been written, then cancels the request.
func copied(t *testing.T, cancel context.CancelFunc, writeTo func(io.Writer) (int64, error), what string) []byte {
	t.Helper()
	w := &until{what: []byte(what), found: cancel}
	n, err := writeTo(w)
	if err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled copy ends with %v", err)
	}
	if n != int64(w.Len()) {
		t.Errorf("copied %d bytes, said to be %d", w.Len(), n)
	}
	return w.Bytes()
}

// until collects what is written and calls `found` once a whole line with `what` has come.
type until struct {
	bytes.Buffer
	what  []byte
	once  sync.Once
	found func()
}

func (u *until) Write(b []byte) (int, error) {
	n, err := u.Buffer.Write(b)
	if at := bytes.Index(u.Bytes(), u.what); at >= 0 && bytes.IndexByte(u.Bytes()[at:], '\n') >= 0 {
		u.once.Do(u.found)
	}
	return n, err
}
