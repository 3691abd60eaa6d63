package minio

import (
	"bytes"
	"io"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// shelf is a bucket with an object of each kind that needs kes to be read.
type shelf struct {
	bucket string
	data   []byte
	key    string
}

func (c *cluster) shelf(t *testing.T, key string) shelf {
	t.Helper()
	s := shelf{bucket: c.bucket(t), data: content(t, 7000), key: c.key(t, key)}
	c.store(t, s, "before")
	return s
}

// store puts an object of each kind on the shelf, under names that start with `when`.
func (c *cluster) store(t *testing.T, s shelf, when string) {
	t.Helper()
	kms, err := encrypt.NewSSEKMS(s.key, map[string]string{"when": when})
	must(t, err)
	c.put(t, s.bucket, when+"-s3", s.data, minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}, sse3())
	c.put(t, s.bucket, when+"-kms", s.data, minio.PutObjectOptions{ServerSideEncryption: kms}, sseKMS(s.key))
}

// readable checks the objects that `store` made.
func (c *cluster) readable(t *testing.T, s shelf, when string) {
	t.Helper()
	c.check(t, s.bucket, when+"-s3", s.data, sse3())
	c.check(t, s.bucket, when+"-kms", s.data, sseKMS(s.key))
}

// TestKesRestarts takes kes away from a running MinIO and brings it back, once in order and once by a crash. MinIO is
// not restarted and not told.
func TestKesRestarts(t *testing.T) {
	c := start(t)
	s := c.shelf(t, "minio-restart")
	pid := c.minio.Pid()
	for _, end := range []string{"stopped", "killed"} {
		t.Run(end, func(t *testing.T) {
			if end == "killed" {
				c.kes.Kill()
			} else if !c.kes.Stop() {
				t.Error("kes did not end cleanly, with MinIO connected")
			}
			c.unreadable(t, s, "before-s3")
			c.unreadable(t, s, "before-kms")
			_, err := c.s3.PutObject(limited(t), s.bucket, "meanwhile", bytes.NewReader(s.data), int64(len(s.data)),
				minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()})
			if err == nil {
				t.Error("an object is stored encrypted without kes")
			}
		})
		c.kes.Restart(t)
		c.readable(t, s, "before")
		c.store(t, s, "after-"+end)
		c.wantKeys(t, defaultKey, "minio-restart")
	}
	if c.minio.Exited() || c.minio.Pid() != pid {
		t.Error("MinIO was restarted")
	}
}

// unreadable checks that MinIO cannot give out an object while kes is away: the test would prove nothing if it could.
func (c *cluster) unreadable(t *testing.T, s shelf, name string) {
	t.Helper()
	object, _, _, err := c.core.GetObject(limited(t), s.bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return
	}
	defer func() { _ = object.Close() }()
	if data, err := io.ReadAll(object); err == nil {
		t.Errorf("%s gives %d bytes without kes", name, len(data))
	}
}

// TestMinIORestarts ends MinIO, once in order and once by a crash, and reads what it left.
func TestMinIORestarts(t *testing.T) {
	c := start(t)
	s := c.shelf(t, "minio-restart")
	c.minio.Stop()
	c.restartMinIO(t)
	c.readable(t, s, "before")
	c.store(t, s, "between")

	c.minio.Kill()
	c.restartMinIO(t)
	c.readable(t, s, "before")
	c.readable(t, s, "between")
	c.store(t, s, "after")
}
