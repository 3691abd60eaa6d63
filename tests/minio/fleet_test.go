package minio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"kes/tests/kesd"
)

const (
	restarts     = 20 // unless KES_FLEET says how many
	users        = 4
	between      = 20 // object operations, at least, between two restarts
	standstill   = time.Minute
	listEvery    = 7 // of so many operations of a user, one is a listing
	shortExpiry  = "cache:\n  expiry:\n    any: 2s\n    unused: 1s\n"
	deletedLimit = time.Minute // the usual expiry of a cache is five minutes
)

// fleet is two kes servers on one folder of keys, and a MinIO that knows both.
type fleet struct {
	*cluster
	other *kesd.Server
}

// startFleet says to MinIO what `endpoints` makes of the two URLs.
func startFleet(t *testing.T, twin func(testing.TB, *kesd.Server) *kesd.Server, endpoints func(first, second *kesd.Server) string) *fleet {
	t.Helper()
	f := &fleet{}
	f.cluster = startWith(t, kesd.Config{More: shortExpiry}, func(c *cluster) string {
		f.other = twin(t, c.kes)
		return endpoints(c.kes, f.other)
	})
	return f
}

// commas is the list of both URLs.
func commas(first, second *kesd.Server) string { return first.URL + "," + second.URL }

// ellipsis is MinIO's other notation for several endpoints.
func ellipsis(first, _ *kesd.Server) string {
	_, port, _ := net.SplitHostPort(first.Addr)
	return "https://127.0.0.{1...2}:" + port
}

// TestOneOfTwoRestartsUnderLoad restarts one of two servers again and again, in order and by a crash in turns, while objects are
// written, read, looked at and listed. No operation of a user may fail.
func TestOneOfTwoRestartsUnderLoad(t *testing.T) {
	for _, kind := range []struct {
		name      string
		twin      func(testing.TB, *kesd.Server) *kesd.Server
		endpoints func(first, second *kesd.Server) string
	}{{"commas", kesd.StartTwin, commas}, {"ellipsis", kesd.StartNeighbour, ellipsis}} {
		t.Run(kind.name, func(t *testing.T) {
			f := startFleet(t, kind.twin, kind.endpoints)
			f.restartUnderLoad(t)
		})
	}
}

func (f *fleet) restartUnderLoad(t *testing.T) {
	f.chooseFirst(t)
	l := f.load(t)
	hit := 0
	for i := range fleetRestarts(t) {
		before := f.served(t, f.kes)
		l.await(t, between)
		inUse := f.served(t, f.kes)-before > between/2
		if inUse {
			hit++
		}
		how := "stopped"
		if i%2 == 1 {
			how = "killed"
		}
		l.note(fmt.Sprintf("restart %d, %s, in use: %v", i, how, inUse))
		if how == "killed" {
			f.kes.Kill()
		} else if !f.kes.Stop() {
			t.Error("kes did not end cleanly")
		}
		f.kes.Restart(t)
		l.note(fmt.Sprintf("restart %d done", i))
	}
	l.await(t, between)
	l.end(t)
	t.Logf("%d operations, %d of the restarts hit a server in use", l.done.Load(), hit)
	if hit == 0 {
		t.Error("MinIO used the other server only: nothing was tested")
	}
}

// chooseFirst makes the server that MinIO asks the first one, which is to restart. MinIO stays with one while that answers, and it may be either.
func (f *fleet) chooseFirst(t *testing.T) {
	t.Helper()
	bucket := f.bucket(t)
	first, second := f.served(t, f.kes), f.served(t, f.other)
	for i := range between {
		_, err := f.s3.PutObject(limited(t), bucket, fmt.Sprint(i), strings.NewReader("x"), 1,
			minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE(), DisableContentSha256: true})
		must(t, err)
	}
	if f.served(t, f.kes)-first < f.served(t, f.other)-second {
		f.kes, f.other = f.other, f.kes
	}
}

// TestARestartBehindASocketFailsNothing restarts the only server, whose socket is held for it, under the same load. Here each restart hits
// a server in use: MinIO has no other.
func TestARestartBehindASocketFailsNothing(t *testing.T) {
	f := &fleet{cluster: startWith(t, kesd.Config{Socket: true}, func(c *cluster) string { return c.kes.URL })}
	f.other = f.kes
	l := f.load(t)
	for i := range fleetRestarts(t) {
		l.await(t, between)
		l.note(fmt.Sprintf("restart %d", i))
		if !f.kes.Stop() {
			t.Error("kes did not end cleanly")
		}
		f.kes.Restart(t)
		l.note(fmt.Sprintf("restart %d done", i))
	}
	l.await(t, between)
	l.end(t)
	t.Logf("%d operations", l.done.Load())
}

// load is users at work.
type load struct {
	done  atomic.Int64
	stop  context.CancelFunc
	all   sync.WaitGroup
	start time.Time

	mu       sync.Mutex
	notes    []string
	failures []string
	progress chan struct{}
}

// load starts users who each write an object, read it, look at it, and now and then list all.
func (f *fleet) load(t *testing.T) *load {
	bucket, key := f.bucket(t), f.key(t, "minio-fleet")
	kms, err := encrypt.NewSSEKMS(key, map[string]string{"fleet": "yes"})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop, start: time.Now(), progress: make(chan struct{}, 1)}
	t.Cleanup(func() { stop(); l.all.Wait() })
	// The one server restarts; meanwhile keys are made at the other, and used by MinIO at once, wherever it asks.
	direct := &http.Client{Timeout: callLimit, Transport: &http.Transport{
		TLSClientConfig: f.other.TLS(t, f.other.Admin), ForceAttemptHTTP2: true,
	}}
	l.all.Add(1)
	go func() {
		defer l.all.Done()
		random := rand.New(rand.NewPCG(users, uint64(l.start.UnixNano())))
		for i := 0; ctx.Err() == nil; i++ {
			key := fmt.Sprintf("minio-fleet-%d", i)
			if !l.did("create "+key, createDirect(direct, f.other.URL, key)) {
				continue
			}
			sse, err := encrypt.NewSSEKMS(key, nil)
			if l.did("name "+key, err) {
				f.use(ctx, l, bucket, "key-"+key, randomBytes(random, 100), sse)
			}
		}
	}()
	for user := range users {
		l.all.Add(1)
		go func() {
			defer l.all.Done()
			random := rand.New(rand.NewPCG(uint64(user), uint64(l.start.UnixNano())))
			for i := 0; ctx.Err() == nil; i++ {
				kind, sse := "SSE-S3", encrypt.NewSSE()
				if random.IntN(2) == 0 {
					kind, sse = "SSE-KMS", kms
				}
				f.use(ctx, l, bucket, fmt.Sprintf("user-%d/%s-%d", user, kind, i%100), randomBytes(random, 1+random.IntN(2000)), sse)
				if i%listEvery == 0 {
					l.did("list", f.listAll(ctx, bucket, fmt.Sprintf("user-%d/", user)))
				}
			}
		}()
	}
	return l
}

// use writes an object, reads it back and looks at it.
func (f *fleet) use(ctx context.Context, l *load, bucket, name string, data []byte, sse encrypt.ServerSide) {
	// Not cut off by the end of the test: an operation under way is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	_, err := f.s3.PutObject(ctx, bucket, name, bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ServerSideEncryption: sse, DisableContentSha256: true})
	if !l.did("put "+name, err) {
		return
	}
	got, err := f.read(ctx, bucket, name)
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("%d other bytes than the %d that were stored", len(got), len(data))
	}
	l.did("get "+name, err)
	info, err := f.s3.StatObject(ctx, bucket, name, minio.StatObjectOptions{})
	if err == nil && info.Size != int64(len(data)) {
		err = fmt.Errorf("its size is %d, not %d", info.Size, len(data))
	}
	l.did("stat "+name, err)
}

func (f *fleet) read(ctx context.Context, bucket, name string) ([]byte, error) {
	stream, _, _, err := f.core.GetObject(ctx, bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	return io.ReadAll(stream)
}

// listAll lists the objects of a user; for each of those with SSE-S3, MinIO asks kes.
func (f *fleet) listAll(ctx context.Context, bucket, prefix string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	count := 0
	for object := range f.s3.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		count++
	}
	if count == 0 {
		return fmt.Errorf("nothing below %s", prefix)
	}
	return nil
}

// did notes the outcome of an operation, and returns whether it succeeded.
func (l *load) did(what string, err error) bool {
	if err != nil {
		at := time.Since(l.start).Round(time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failures = append(l.failures, fmt.Sprintf("%v %s: %v (%+v)", at, what, err, minio.ToErrorResponse(err)))
		l.notes = append(l.notes, fmt.Sprintf("%v FAILED %s", at, what))
		return false
	}
	l.done.Add(1)
	select {
	case l.progress <- struct{}{}:
	default:
	}
	return true
}

func (l *load) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, fmt.Sprintf("%v %s", time.Since(l.start).Round(time.Millisecond), text))
}

// await waits until `count` more operations have succeeded.
func (l *load) await(t *testing.T, count int64) {
	t.Helper()
	for goal := l.done.Load() + count; l.done.Load() < goal; {
		select {
		case <-l.progress:
		case <-time.After(standstill):
			l.end(t)
			t.Fatalf("nothing has succeeded for %v", standstill)
		}
	}
}

// end lets all users finish, and fails the test if anything has failed them.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		t.Errorf("%d operations failed:\n%s\nwhat happened:\n%s", len(l.failures), strings.Join(l.failures, "\n"), strings.Join(l.notes, "\n"))
	}
}

// served is how many requests a server has answered with success since it started.
func (f *fleet) served(t *testing.T, s *kesd.Server) int {
	t.Helper()
	status, body := f.callAt(t, s, http.MethodGet, "/v1/metrics", nil)
	if status != http.StatusOK {
		t.Fatalf("/v1/metrics: %d %s", status, body)
	}
	count := 0.0
	for line := range strings.Lines(string(body)) {
		if series, found := strings.CutPrefix(line, "kes_http_request_success{"); found {
			_, value, _ := strings.Cut(series, "} ")
			more, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			must(t, err)
			count += more
		}
	}
	return int(count)
}

// callAt is a request to one of the servers, as admin.
func (f *fleet) callAt(t *testing.T, s *kesd.Server, method, path string, body any) (int, []byte) {
	t.Helper()
	at := *f.cluster
	at.kes = s
	return at.call(t, method, path, body)
}

// TestTwoServersAgree creates keys at one server and uses them at the other at once, and deletes them likewise.
func TestTwoServersAgree(t *testing.T) {
	f := startFleet(t, kesd.StartTwin, commas)
	for i := range 10 {
		first, second := f.kes, f.other
		if i%2 == 1 {
			first, second = second, first
		}
		path := func(route string) string { return fmt.Sprintf("/v1/key/%s/shared-%d", route, i) }
		// Not even that there is no such key may be remembered.
		if status, body := f.callAt(t, second, http.MethodPut, path("generate"), struct{}{}); status != http.StatusNotFound {
			t.Fatalf("before it is created: %d %s", status, body)
		}
		if status, body := f.callAt(t, first, http.MethodPost, path("create"), nil); status != http.StatusOK {
			t.Fatalf("creating: %d %s", status, body)
		}
		if status, body := f.callAt(t, second, http.MethodPut, path("generate"), struct{}{}); status != http.StatusOK {
			t.Fatalf("using it at once: %d %s", status, body)
		}
		if status, body := f.callAt(t, second, http.MethodPost, path("create"), nil); status != http.StatusBadRequest {
			t.Fatalf("creating it again: %d %s", status, body)
		}
		if status, body := f.callAt(t, first, http.MethodDelete, path("delete"), nil); status != http.StatusOK {
			t.Fatalf("deleting: %d %s", status, body)
		}
		if status, body := f.callAt(t, first, http.MethodPut, path("generate"), struct{}{}); status != http.StatusNotFound {
			t.Fatalf("after it was deleted here: %d %s", status, body)
		}
		// The other one has it for as long as its cache may.
		second.Await(t, deletedLimit, func() error {
			if status, _ := f.callAt(t, second, http.MethodPut, path("generate"), struct{}{}); status != http.StatusNotFound {
				return fmt.Errorf("deleted at the other server, and still here: status %d", status)
			}
			return nil
		})
	}
}

// fleetRestarts says how many restarts there are to be: the variable KES_FLEET.
func fleetRestarts(t *testing.T) int {
	t.Helper()
	text := os.Getenv("KES_FLEET")
	if text == "" {
		return restarts
	}
	count, err := strconv.Atoi(text)
	must(t, err)
	return count
}
