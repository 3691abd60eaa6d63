package minio

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

const (
	sealedKeyField = "X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key"

	headerSSE   = "X-Amz-Server-Side-Encryption"
	headerKeyID = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
)

// sealed says how an object must turn out to be encrypted. The zero value: not at all.
type sealed struct {
	algorithm string // AES256 (SSE-S3) or aws:kms
	keyID     string // SSE-KMS only
}

func sse3() sealed { return sealed{algorithm: "AES256"} }

func sseKMS(key string) sealed { return sealed{algorithm: "aws:kms", keyID: "arn:aws:kms:" + key} }

// content is `size` random bytes: nothing of it can be found on a drive by chance.
func content(t *testing.T, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	_, err := rand.Read(data)
	must(t, err)
	return data
}

// put stores an object and checks that it reads back, says how it is encrypted, and lies encrypted on every drive.
func (c *cluster) put(t *testing.T, bucket, name string, data []byte, opts minio.PutObjectOptions, want sealed) {
	t.Helper()
	opts.DisableContentSha256 = true // the SHA-256 of chunks would cost more than all the rest
	_, err := c.s3.PutObject(limited(t), bucket, name, bytes.NewReader(data), int64(len(data)), opts)
	must(t, err)
	c.check(t, bucket, name, data, want)
}

// check reads an object back and compares content, size, and encryption as said by GET and by HEAD.
func (c *cluster) check(t *testing.T, bucket, name string, data []byte, want sealed) {
	t.Helper()
	object, viaGet, _, err := c.core.GetObject(limited(t), bucket, name, minio.GetObjectOptions{})
	must(t, err)
	defer func() { _ = object.Close() }()
	got, err := io.ReadAll(object)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Fatalf("%s/%s: %d bytes come back, not the %d that were stored", bucket, name, len(got), len(data))
	}
	viaHead, err := c.s3.StatObject(limited(t), bucket, name, minio.StatObjectOptions{})
	must(t, err)
	for how, info := range map[string]minio.ObjectInfo{"GET": viaGet, "HEAD": viaHead} {
		if info.Size != int64(len(data)) {
			t.Errorf("%s/%s: %s says %d bytes, want %d", bucket, name, how, info.Size, len(data))
		}
		if is := (sealed{info.Metadata.Get(headerSSE), info.Metadata.Get(headerKeyID)}); is != want {
			t.Errorf("%s/%s: %s says it is encrypted as %+v, want %+v", bucket, name, how, is, want)
		}
	}
	if onDisk := c.onDrives(t, bucket, data); onDisk != (want == sealed{}) {
		t.Errorf("%s/%s: plain content on the drives: %v", bucket, name, onDisk)
	}
}

// onDrives tells whether the first bytes of `data` lie in any file of a bucket.
func (c *cluster) onDrives(t *testing.T, bucket string, data []byte) bool {
	t.Helper()
	return c.find(t, bucket, data[:min(len(data), 16)])
}

// find tells whether any file below `folder`, on any drive, contains `needle`.
func (c *cluster) find(t *testing.T, folder string, needle []byte) bool {
	t.Helper()
	found := false
	for _, drive := range c.drives {
		must(t, filepath.WalkDir(filepath.Join(drive, folder), func(path string, entry os.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && !entry.Type().IsRegular() {
				return nil // MinIO moves files while we walk
			}
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil && !os.IsNotExist(err) {
				return err
			}
			found = found || bytes.Contains(text, needle)
			return nil
		}))
	}
	return found
}

// sealedKey reads the data key of an object, as kes sealed it, from MinIO's metadata on a drive: a MessagePack map, in
// which the value that follows is `c4 LEN` or `c5 LEN LEN` and then base64 text.
func (c *cluster) sealedKey(t *testing.T, bucket, name string) []byte {
	t.Helper()
	meta, err := os.ReadFile(filepath.Join(c.drives[0], bucket, name, "xl.meta"))
	must(t, err)
	at := bytes.Index(meta, []byte(sealedKeyField))
	if at < 0 {
		t.Fatalf("%s/%s has no sealed key", bucket, name)
	}
	value := meta[at+len(sealedKeyField):]
	var text []byte
	switch value[0] {
	case 0xc4:
		text = value[2 : 2+int(value[1])]
	case 0xc5:
		text = value[3 : 3+int(value[1])<<8+int(value[2])]
	default:
		t.Fatalf("unknown MessagePack type %x", value[0])
	}
	key, err := base64.StdEncoding.DecodeString(string(text))
	must(t, err)
	return key
}

// boundTo tells whether kes opens a sealed data key with exactly this context, and then gives 32 bytes.
func (c *cluster) boundTo(t *testing.T, key string, ciphertext []byte, context string) bool {
	t.Helper()
	status, body := c.call(t, http.MethodPut, "/v1/key/decrypt/"+key,
		map[string][]byte{"ciphertext": ciphertext, "context": []byte(context)})
	var answer struct{ Plaintext []byte }
	must(t, json.Unmarshal(body, &answer))
	if status != http.StatusOK && status != http.StatusBadRequest {
		t.Fatalf("decrypting a data key: status %d: %s", status, body)
	}
	return status == http.StatusOK && len(answer.Plaintext) == 32
}

func TestObjects(t *testing.T) {
	c := start(t)
	t.Run("an object without encryption lies plain on the drives", c.plain)
	t.Run("SSE-S3 stores and reads", c.sseS3)
	t.Run("SSE-KMS stores and reads with a named key and a context", c.sseKMS)
	t.Run("keys that are missing or not permitted are refused", c.refusedKeys)
	t.Run("a bucket with automatic SSE-S3 encrypts", c.autoS3)
	t.Run("a bucket with automatic SSE-KMS encrypts", c.autoKMS)
	t.Run("multipart objects are encrypted", c.multipart)
	t.Run("parts of a multipart upload are listed", c.multipartParts)
	t.Run("a copy is sealed with another key", c.copies)
}

// plain is the control of all the others: the search on the drives finds what is not encrypted.
func (c *cluster) plain(t *testing.T) {
	c.put(t, c.bucket(t), "plain", content(t, 1024), minio.PutObjectOptions{}, sealed{})
}

func (c *cluster) sseS3(t *testing.T) {
	bucket := c.bucket(t)
	opts := minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}
	for name, size := range map[string]int{"empty": 0, "small": 1000, "path/to/large": 3 << 20, "ein & <zwei> \"ü\" ": 64} {
		data := content(t, size)
		if size == 0 {
			_, err := c.s3.PutObject(limited(t), bucket, name, bytes.NewReader(nil), 0, opts)
			must(t, err)
			continue
		}
		c.put(t, bucket, name, data, opts, sse3())
	}
	// The context that binds a data key to its object is MinIO's; kes must have taken it byte for byte.
	key := c.sealedKey(t, bucket, "small")
	if !c.boundTo(t, defaultKey, key, `{"`+bucket+`":"`+bucket+`/small"}`) {
		t.Error("the data key does not open with the context of its object")
	}
	if c.boundTo(t, defaultKey, key, `{"`+bucket+`":"`+bucket+`/other"}`) || c.boundTo(t, defaultKey, key, "") {
		t.Error("the data key opens with another context")
	}
	special := c.sealedKey(t, bucket, "ein & <zwei> \"ü\" ")
	if !c.boundTo(t, defaultKey, special, `{"`+bucket+`":"`+bucket+`/ein \u0026 \u003czwei\u003e \"ü\" "}`) {
		t.Error("a name with special characters gave another context than documented")
	}
}

func (c *cluster) sseKMS(t *testing.T) {
	bucket, key := c.bucket(t), c.key(t, "minio-kms")
	bound, err := encrypt.NewSSEKMS(key, map[string]string{"tenant": "blue", "area": "51"})
	must(t, err)
	c.put(t, bucket, "bound", content(t, 5000), minio.PutObjectOptions{ServerSideEncryption: bound}, sseKMS(key))
	dek := c.sealedKey(t, bucket, "bound")
	if !c.boundTo(t, key, dek, `{"area":"51","`+bucket+`":"`+bucket+`/bound","tenant":"blue"}`) {
		t.Error("the data key does not open with the context of its object")
	}
	if c.boundTo(t, key, dek, `{"`+bucket+`":"`+bucket+`/bound"}`) {
		t.Error("the data key opens without the client's part of its context")
	}
	unbound, err := encrypt.NewSSEKMS(key, nil)
	must(t, err)
	c.put(t, bucket, "unbound", content(t, 100), minio.PutObjectOptions{ServerSideEncryption: unbound}, sseKMS(key))
}

func (c *cluster) refusedKeys(t *testing.T) {
	bucket := c.bucket(t)
	for key, want := range map[string]minio.ErrorResponse{
		"minio-nobody-made-this": {StatusCode: http.StatusNotFound, Code: "kms:KeyNotFound"},
		"not-for-minio":          {StatusCode: http.StatusForbidden, Code: "kms:NotAuthorized"},
	} {
		sse, err := encrypt.NewSSEKMS(key, nil)
		must(t, err)
		_, err = c.s3.PutObject(limited(t), bucket, "refused", bytes.NewReader([]byte("x")), 1,
			minio.PutObjectOptions{ServerSideEncryption: sse})
		if got := minio.ToErrorResponse(err); got.StatusCode != want.StatusCode || got.Code != want.Code {
			t.Errorf("storing with key %s gives %d %s (%v), want %d %s", key, got.StatusCode, got.Code, err, want.StatusCode, want.Code)
		}
		if _, err := c.s3.StatObject(limited(t), bucket, "refused", minio.StatObjectOptions{}); err == nil {
			t.Errorf("a refused object was stored (key %s)", key)
		}
	}
}

func (c *cluster) autoS3(t *testing.T) {
	bucket := c.bucket(t)
	c.mc(t, "encrypt", "set", "sse-s3", "m/"+bucket)
	c.put(t, bucket, "auto", content(t, 2000), minio.PutObjectOptions{}, sse3())
	c.mc(t, "encrypt", "clear", "m/"+bucket)
	c.put(t, bucket, "plain", content(t, 2000), minio.PutObjectOptions{}, sealed{})
}

func (c *cluster) autoKMS(t *testing.T) {
	bucket, key := c.bucket(t), c.key(t, "minio-auto")
	c.mc(t, "encrypt", "set", "sse-kms", key, "m/"+bucket)
	c.put(t, bucket, "auto", content(t, 2000), minio.PutObjectOptions{}, sseKMS(key))
	// The client's own wish goes before that of the bucket.
	c.put(t, bucket, "asked", content(t, 2000), minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}, sse3())
	c.mcFails(t, "key with given key ID does not exist", "encrypt", "set", "sse-kms", "minio-nobody-made-this", "m/"+bucket)

	file := filepath.Join(t.TempDir(), "file")
	data := content(t, 4000)
	must(t, os.WriteFile(file, data, 0o600))
	c.mc(t, "cp", file, "m/"+bucket+"/by-mc")
	c.check(t, bucket, "by-mc", data, sseKMS(key))
	if found := c.mc(t, "stat", "m/"+bucket+"/by-mc")["metadata"].(map[string]any); found[headerKeyID] != sseKMS(key).keyID {
		t.Errorf("mc stat says %v", found)
	}
}

func (c *cluster) multipart(t *testing.T) {
	bucket, key := c.bucket(t), c.key(t, "minio-multipart")
	kms, err := encrypt.NewSSEKMS(key, map[string]string{"parts": "many"})
	must(t, err)
	data := content(t, 16<<20+123) // 4 parts, the last one short
	for _, kind := range []struct {
		name string
		sse  encrypt.ServerSide
		want sealed
	}{{"s3", encrypt.NewSSE(), sse3()}, {"kms", kms, sseKMS(key)}} {
		c.put(t, bucket, kind.name, data, minio.PutObjectOptions{ServerSideEncryption: kind.sse, PartSize: 5 << 20}, kind.want)
		info, err := c.s3.StatObject(limited(t), bucket, kind.name, minio.StatObjectOptions{})
		must(t, err)
		if len(info.ETag) < 2 || info.ETag[len(info.ETag)-2:] != "-4" {
			t.Errorf("%s: ETag %q is not of four parts", kind.name, info.ETag)
		}
		// A range across the seam of two parts.
		opts := minio.GetObjectOptions{}
		must(t, opts.SetRange(5<<20-100, 5<<20+99))
		object, err := c.s3.GetObject(limited(t), bucket, kind.name, opts)
		must(t, err)
		got, err := io.ReadAll(object)
		must(t, err)
		if !bytes.Equal(got, data[5<<20-100:5<<20+100]) {
			t.Errorf("%s: a range across two parts differs (%d bytes)", kind.name, len(got))
		}
	}
}

func (c *cluster) multipartParts(t *testing.T) {
	bucket := c.bucket(t)
	opts := minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}
	id, err := c.core.NewMultipartUpload(limited(t), bucket, "parts", opts)
	must(t, err)
	var data []byte
	var parts []minio.CompletePart
	for number, size := range []int{5 << 20, 5 << 20, 777} {
		part := content(t, size)
		done, err := c.core.PutObjectPart(limited(t), bucket, "parts", id, number+1, bytes.NewReader(part), int64(size),
			minio.PutObjectPartOptions{})
		must(t, err)
		parts = append(parts, minio.CompletePart{PartNumber: number + 1, ETag: done.ETag})
		data = append(data, part...)
	}
	listed, err := c.core.ListObjectParts(limited(t), bucket, "parts", id, 0, 100)
	must(t, err)
	if len(listed.ObjectParts) != 3 {
		t.Fatalf("%d parts listed, want 3", len(listed.ObjectParts))
	}
	for i, part := range listed.ObjectParts {
		sum := md5.Sum(data[i*5<<20 : min((i+1)*5<<20, len(data))])
		if etag := strings.Trim(part.ETag, `"`); part.PartNumber != i+1 || etag != hex.EncodeToString(sum[:]) {
			t.Errorf("part %d is listed as %d with ETag %s, want the MD5 of its content, %x", i+1, part.PartNumber, etag, sum)
		}
	}
	_, err = c.core.CompleteMultipartUpload(limited(t), bucket, "parts", id, parts, minio.PutObjectOptions{})
	must(t, err)
	c.check(t, bucket, "parts", data, sse3())
}

func (c *cluster) copies(t *testing.T) {
	bucket, other := c.bucket(t), c.bucket(t)
	first, second := c.key(t, "minio-copy-1"), c.key(t, "minio-copy-2")
	data := content(t, 9000)
	c.put(t, bucket, "source", data, minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()}, sse3())

	copied := func(toBucket, to, from string, sse encrypt.ServerSide, want sealed) {
		t.Helper()
		_, err := c.s3.CopyObject(limited(t), minio.CopyDestOptions{Bucket: toBucket, Object: to, Encryption: sse},
			minio.CopySrcOptions{Bucket: bucket, Object: from})
		must(t, err)
		c.check(t, toBucket, to, data, want)
	}
	kms := func(key string) encrypt.ServerSide {
		sse, err := encrypt.NewSSEKMS(key, map[string]string{"copied": "yes"})
		must(t, err)
		return sse
	}
	copied(other, "with-first", "source", kms(first), sseKMS(first))
	copied(bucket, "with-first", "source", kms(first), sseKMS(first))
	copied(bucket, "with-second", "with-first", kms(second), sseKMS(second))
	copied(other, "back", "with-second", encrypt.NewSSE(), sse3())
	// Onto itself: the object stays, its data key is sealed anew. This is how a user changes keys.
	before := c.sealedKey(t, bucket, "with-first")
	copied(bucket, "with-first", "with-first", kms(second), sseKMS(second))
	if bytes.Equal(before, c.sealedKey(t, bucket, "with-first")) {
		t.Error("the sealed key of an object copied onto itself did not change")
	}
	c.check(t, bucket, "source", data, sse3())
}
