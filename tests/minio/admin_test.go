package minio

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestKeys drives `mc admin kms key`, and what MinIO does by itself when it starts.
func TestKeys(t *testing.T) {
	c := start(t)
	if status, body := c.call(t, http.MethodGet, "/v1/key/describe/"+defaultKey, nil); status != http.StatusOK {
		t.Fatalf("MinIO did not make its default key: status %d: %s", status, body)
	}
	c.wantKeys(t, defaultKey)

	c.key(t, "minio-b")
	c.key(t, "minio-a")
	c.wantKeys(t, "minio-a", "minio-b", defaultKey)
	c.mcFails(t, "key with given key ID already exits", "admin", "kms", "key", "create", "m", "minio-a")
	c.mcFails(t, "insufficient permissions", "admin", "kms", "key", "create", "m", "not-for-minio")
	c.wantKeys(t, "minio-a", "minio-b", defaultKey)

	for _, args := range [][]string{{}, {"minio-a"}} {
		status := c.mc(t, append([]string{"admin", "kms", "key", "status", "m"}, args...)...)
		if status["status"] != "success" || status["encryptionError"] != nil || status["decryptionError"] != nil {
			t.Errorf("mc admin kms key status %v: %v", args, status)
		}
	}
	// MinIO says "success" here too; the words are in a field of their own.
	for key, want := range map[string]string{
		"minio-nobody-made-this": "key with given key ID does not exist",
		"not-for-minio":          "insufficient permissions to perform KMS operation",
	} {
		if status := c.mc(t, "admin", "kms", "key", "status", "m", key); status["encryptionError"] != want {
			t.Errorf("status of key %s: %v, want the error %q", key, status, want)
		}
	}
	info := c.mc(t, "admin", "info", "m")["info"].(map[string]any)["services"].(map[string]any)["kmsStatus"].([]any)
	if len(info) != 1 || info[0].(map[string]any)["status"] != "online" {
		t.Errorf("mc admin info says of the KMS: %v", info)
	}
}

func (c *cluster) wantKeys(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, key := range c.mc(t, "admin", "kms", "key", "list", "m")["keys"].([]any) {
		got = append(got, key.(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("mc admin kms key list: %q, want %q", got, want)
	}
}

// TestUsersAndPoliciesAreKeptEncrypted makes a user and a policy, looks for their text on the drives, and starts MinIO
// anew: it must read both again through kes.
func TestUsersAndPoliciesAreKeptEncrypted(t *testing.T) {
	c := start(t)
	allowed, forbidden := c.bucket(t), c.bucket(t)
	file := filepath.Join(t.TempDir(), "policy.json")
	must(t, os.WriteFile(file, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],`+
		`"Resource":["arn:aws:s3:::`+allowed+`/*"]}]}`), 0o600))
	c.mc(t, "admin", "user", "add", "m", "alice", "the-password-of-alice")
	c.mc(t, "admin", "policy", "create", "m", "only-one-bucket", file)
	c.mc(t, "admin", "policy", "attach", "m", "only-one-bucket", "--user", "alice")
	c.aliceMay(t, allowed, forbidden)

	for _, secret := range []string{"the-password-of-alice", "arn:aws:s3:::" + allowed} {
		if c.find(t, ".minio.sys/config", []byte(secret)) {
			t.Errorf("%q lies plain on a drive", secret)
		}
	}
	if !c.find(t, ".minio.sys", []byte(defaultKey)) {
		t.Error("nothing on the drives names the default key: the search looks in the wrong place")
	}
	if !c.minio.Stop() {
		t.Log("MinIO did not end with status 0")
	}
	c.restartMinIO(t)
	c.aliceMay(t, allowed, forbidden)
	if policy := c.mc(t, "admin", "policy", "info", "m", "only-one-bucket"); policy["status"] != "success" {
		t.Errorf("the policy after the restart: %v", policy)
	}

	// Without kes MinIO cannot read its users, and does not start at all.
	c.minio.Kill()
	c.kes.Stop()
	c.minio = c.spawnMinIO(t)
	if !c.minio.AwaitExit(readyLimit) {
		t.Error("MinIO runs without kes")
	} else if words := strings.ToLower(c.minio.Output()); !strings.Contains(words, "kms") {
		t.Errorf("MinIO ended, but not for its key server:\n%s", words)
	}
	c.minio.Kill()
	c.kes.Restart(t)
	c.restartMinIO(t)
	c.aliceMay(t, allowed, forbidden)
}

// aliceMay checks what the user alice can and cannot do.
func (c *cluster) aliceMay(t *testing.T, allowed, forbidden string) {
	t.Helper()
	alice := c.client(t, "alice", "the-password-of-alice")
	_, err := alice.PutObject(limited(t), allowed, "hers", bytes.NewReader([]byte("x")), 1, minio.PutObjectOptions{})
	must(t, err)
	_, err = alice.PutObject(limited(t), forbidden, "not-hers", bytes.NewReader([]byte("x")), 1, minio.PutObjectOptions{})
	if got := minio.ToErrorResponse(err); got.Code != "AccessDenied" {
		t.Errorf("alice writes where she may not: %v", err)
	}
	_, err = c.client(t, "alice", "a-wrong-password").StatObject(limited(t), allowed, "hers", minio.StatObjectOptions{})
	if err == nil {
		t.Error("alice is let in with a wrong password")
	}
}
