package minio

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

const (
	listed  = 1000 // a full page of an S3 listing
	writers = 16
)

// TestListing lists a thousand encrypted objects: MinIO opens the data key of each, one after the other, to show the
// ETag. It is the operation that a slow key server spoils first.
func TestListing(t *testing.T) {
	c := start(t)
	bucket := c.bucket(t)
	etags := c.fill(t, bucket)

	for _, v1 := range []bool{false, true} {
		before := c.served(t)
		count := 0
		for info := range c.s3.ListObjects(limited(t), bucket, minio.ListObjectsOptions{Recursive: true, UseV1: v1}) {
			must(t, info.Err)
			count++
			if want := len(info.Key); info.Size != int64(want) {
				t.Errorf("%s is listed with %d bytes, want %d", info.Key, info.Size, want)
			}
			if info.ETag != etags[info.Key] {
				t.Errorf("%s is listed with ETag %s, want the MD5 of its content, %s", info.Key, info.ETag, etags[info.Key])
			}
		}
		if count != listed {
			t.Errorf("%d objects are listed, want %d", count, listed)
		}
		if served := c.served(t) - before; served < listed {
			t.Errorf("kes served %d requests during the listing, want one for each of %d objects", served, listed)
		}
	}
	for i := 0; i < listed; i += 100 {
		c.check(t, bucket, objectName(i), []byte(objectName(i)), sse3())
	}
}

// fill stores the objects, a few at a time, each with its own name as content. It returns the MD5 of each.
func (c *cluster) fill(t *testing.T, bucket string) map[string]string {
	t.Helper()
	ctx := limited(t)
	etags := make(map[string]string, listed)
	work := make(chan string, listed)
	for i := range listed {
		name := objectName(i)
		sum := md5.Sum([]byte(name))
		etags[name] = hex.EncodeToString(sum[:])
		work <- name
	}
	close(work)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for name := range work {
				_, err := c.s3.PutObject(ctx, bucket, name, strings.NewReader(name), int64(len(name)),
					minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return etags
}

func objectName(i int) string { return fmt.Sprintf("encrypted-object-number-%06d", i) }

// served is the number of requests that kes has answered with success, from its metrics: a counter for each status.
func (c *cluster) served(t *testing.T) int {
	t.Helper()
	status, body := c.call(t, http.MethodGet, "/v1/metrics", nil)
	if status != http.StatusOK {
		t.Fatalf("metrics: status %d: %s", status, body)
	}
	sum, found := 0.0, false
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if family, _, _ := strings.Cut(name, "{"); family == "kes_http_request_success" {
			count, err := strconv.ParseFloat(value, 64)
			must(t, err)
			sum, found = sum+count, true
		}
	}
	if !found {
		t.Fatalf("no count of successful requests in the metrics:\n%s", body)
	}
	return int(sum)
}
