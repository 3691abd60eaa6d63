package minio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

const (
	kills       = 8                // unless KES_DURABILITY says how many times as many
	killPause   = time.Second      // at most, between work that succeeds again and the next kill
	resumeLimit = 30 * time.Second // until work succeeds again after a kill
	retryPause  = 20 * time.Millisecond
	putters     = 3
)

// diary says what was acknowledged, and what was not. Safe for use by several goroutines.
type diary struct {
	mu       sync.Mutex
	objects  map[string]object
	keys     []string // acknowledged
	failures int
	progress chan struct{} // holds one element after an acknowledged write
}

type object struct {
	key  string
	data []byte
}

// wrote notes what became of the writing of an object, and returns whether that was acknowledged.
func (d *diary) wrote(name string, o object, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failures++
		return false
	}
	d.objects[name] = o
	select {
	case d.progress <- struct{}{}:
	default:
	}
	return true
}

// created notes what became of the creation of a key, and returns whether it is there.
func (d *diary) created(key string, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Names are tried until they are taken. One that a failed creation took counts as acknowledged: the answer says so.
	if err != nil && !errors.Is(err, errExists) {
		d.failures++
		return false
	}
	d.keys = append(d.keys, key)
	return true
}

// someKey is an acknowledged key.
func (d *diary) someKey(random *rand.Rand) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys[random.IntN(len(d.keys))]
}

// TestKesIsKilledAtWork kills kes again and again, at random moments, while objects are written and keys are created, by
// MinIO and past it. What was acknowledged must be readable, and every name usable.
func TestKesIsKilledAtWork(t *testing.T) {
	c := start(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	bucket := c.bucket(t)
	d := &diary{objects: map[string]object{}, keys: []string{c.key(t, "minio-first")}, progress: make(chan struct{}, 1)}

	// One connection pool for all direct calls: a caller that goes on without waiting is what a kill interrupts.
	direct := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: c.kes.TLS(t, c.kes.Admin), ForceAttemptHTTP2: true,
	}}
	work, stop := context.WithCancel(context.Background())
	defer stop()
	var all sync.WaitGroup
	// Each does its work number i until it succeeds: that shows that nothing stays blocked, too.
	run := func(id uint64, each func(random *rand.Rand, i int) bool) {
		all.Add(1)
		go func() {
			defer all.Done()
			random := rand.New(rand.NewPCG(seed, id))
			for i := 0; work.Err() == nil; {
				if each(random, i) {
					i++
				} else {
					time.Sleep(retryPause)
				}
			}
		}()
	}
	for w := range uint64(putters) {
		run(w, func(random *rand.Rand, i int) bool {
			name := fmt.Sprintf("object-%d-%d", w, i)
			o := object{key: d.someKey(random), data: randomBytes(random, 1+random.IntN(4000))}
			return d.wrote(name, o, c.write(bucket, name, o))
		})
	}
	run(100, func(_ *rand.Rand, i int) bool {
		key := fmt.Sprintf("minio-direct-%d", i)
		return d.created(key, createDirect(direct, c.kes.URL, key))
	})
	run(101, func(random *rand.Rand, i int) bool {
		key := fmt.Sprintf("minio-by-mc-%d", i)
		_, err := c.mcTry(t, "admin", "kms", "key", "create", "m", key)
		if err != nil && strings.Contains(err.Error(), "already exits") {
			err = errExists
		}
		if !d.created(key, err) {
			return false
		}
		// Used at once, while it would be on no disk yet if its creation was acknowledged too early.
		o := object{key: key, data: randomBytes(random, 100)}
		d.wrote(key, o, c.write(bucket, key, o))
		return true
	})

	random := rand.New(rand.NewPCG(seed, 200))
	for i := range kills * durability(t) {
		for range 2 { // the first may be of before the last kill
			select {
			case <-d.progress:
			case <-time.After(resumeLimit):
				t.Fatalf("kill %d: nothing has been written for %v", i, resumeLimit)
			}
		}
		time.Sleep(time.Duration(random.Int64N(int64(killPause))))
		c.kes.Kill()
		c.kes.Restart(t)
	}
	stop()
	all.Wait()
	// Nothing of a cache is left.
	c.kes.Kill()
	c.kes.Restart(t)
	t.Logf("%d objects and %d keys acknowledged, %d operations failed", len(d.objects), len(d.keys), d.failures)
	if d.failures == 0 {
		t.Error("no operation failed: the kills hit nothing")
	}

	for name, o := range d.objects {
		if err := c.same(bucket, name, o); err != nil {
			t.Errorf("%s with key %s: %v", name, o.key, err)
		}
	}
	for _, key := range d.keys {
		c.works(t, direct, key)
	}
}

// works checks that a key opens what it seals.
func (c *cluster) works(t *testing.T, direct *http.Client, key string) {
	t.Helper()
	var sealed struct{ Plaintext, Ciphertext []byte }
	var opened struct{ Plaintext []byte }
	if err := ask(direct, c.kes.URL+"/v1/key/generate/"+key, struct{}{}, &sealed); err != nil {
		t.Errorf("key %s does not seal: %v", key, err)
		return
	}
	err := ask(direct, c.kes.URL+"/v1/key/decrypt/"+key, map[string][]byte{"ciphertext": sealed.Ciphertext}, &opened)
	if err != nil || !bytes.Equal(opened.Plaintext, sealed.Plaintext) || len(sealed.Plaintext) != 32 {
		t.Errorf("key %s does not open what it sealed: %v", key, err)
	}
}

// ask sends a request to kes and reads its answer, which must be a success.
func ask(client *http.Client, url string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err = io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s", res.Status, text)
	}
	return json.Unmarshal(text, answer)
}

// TestEmptyFilesOfThePredecessor starts kes where an earlier server crashed while it created a key.
func TestEmptyFilesOfThePredecessor(t *testing.T) {
	c := start(t)
	c.kes.Stop()
	file := filepath.Join(filepath.Dir(c.kes.Config), "keys", "minio-half")
	must(t, os.WriteFile(file, nil, 0o600))
	c.kes.Restart(t)
	said := ""
	for line := range strings.Lines(c.kes.Output()) {
		if strings.Contains(line, "empty files") {
			said += line
		}
	}
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "'minio-half'") {
		t.Errorf("the start says of an empty file: %q", said)
	}
	if status, body := c.call(t, http.MethodGet, "/v1/key/describe/minio-half", nil); status < 500 {
		t.Errorf("describing it: %d %s", status, body)
	}
	c.kes.Await(t, readyLimit, func() error {
		if !strings.Contains(c.kes.Output(), "is empty: the server that was to create the key crashed") {
			return errors.New("the error log does not say why the key cannot be read")
		}
		return nil
	})
	if status, body := c.call(t, http.MethodDelete, "/v1/key/delete/minio-half", nil); status != http.StatusOK {
		t.Fatalf("it cannot be deleted: %d %s", status, body)
	}
	c.key(t, "minio-half")
	bucket, o := c.bucket(t), object{key: "minio-half", data: []byte("whole")}
	must(t, c.write(bucket, "object", o))
	must(t, c.same(bucket, "object", o))
}

// write stores an object with SSE-KMS; nil: MinIO has acknowledged it.
func (c *cluster) write(bucket, name string, o object) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	kms, err := encrypt.NewSSEKMS(o.key, nil)
	if err != nil {
		return err
	}
	_, err = c.s3.PutObject(ctx, bucket, name, bytes.NewReader(o.data), int64(len(o.data)),
		minio.PutObjectOptions{ServerSideEncryption: kms, DisableContentSha256: true})
	return err
}

// same checks that an object reads back as it was written, and is sealed with its key.
func (c *cluster) same(bucket, name string, o object) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	stream, info, _, err := c.core.GetObject(ctx, bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	data, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, o.data) {
		return fmt.Errorf("%d other bytes than the %d that were stored", len(data), len(o.data))
	}
	if is := (sealed{info.Metadata.Get(headerSSE), info.Metadata.Get(headerKeyID)}); is != sseKMS(o.key) {
		return fmt.Errorf("it is encrypted as %+v", is)
	}
	return nil
}

var errExists = errors.New("it exists")

// createDirect makes a key at kes itself.
func createDirect(client *http.Client, url, key string) error {
	req, err := http.NewRequest(http.MethodPost, url+"/v1/key/create/"+key, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusOK:
		return nil
	case bytes.Contains(body, []byte("exist")):
		return errExists
	}
	return fmt.Errorf("%s %s", res.Status, body)
}

func randomBytes(random *rand.Rand, size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// durability says how many times as much to do as in CI: the variable KES_DURABILITY, 1 if unset.
func durability(t *testing.T) int {
	t.Helper()
	text := os.Getenv("KES_DURABILITY")
	if text == "" {
		return 1
	}
	times, err := strconv.Atoi(text)
	must(t, err)
	return times
}
