package minio

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"kes/tests/kesd"
)

// vectorsOf reads a file of the published vectors.
func vectorsOf(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "integration", "compat", "vectors", name))
	must(t, err)
	must(t, json.Unmarshal(text, into))
}

// files is the content of a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	found := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		must(t, err)
		found[entry.Name()] = string(text)
	}
	return found
}

// kesAt starts `kes` as docs/migrating.md says, and waits until `/v1/ready` answers.
func (d *desk) kesAt(t *testing.T, url string, id kesd.Identity) *kesd.Process {
	t.Helper()
	p := kesd.Run(t, "kes", d.command(t, "predecessor-start", ""))
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{id.TLS(t)}},
		DisableKeepAlives: true,
	}}
	p.Await(t, readyLimit, func() error {
		res, err := client.Get(url + "/v1/ready")
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("/v1/ready: %s", res.Status)
		}
		return nil
	})
	return p
}

// TestFromThePredecessor takes over a folder of keys and a configuration file as the predecessor has them, with a MinIO
// whose default key lies there. At the end, not a byte of what was there has changed, and what is new has the same form.
func TestFromThePredecessor(t *testing.T) {
	d, c := newDesk(t), prepare(t)
	admin := kesd.NewIdentity(t, d.dir, "admin")
	minioID := kesd.NewIdentity(t, d.dir, "minio")
	server := kesd.NewIdentity(t, d.dir, "server", "--ip", "127.0.0.1", "--expiry", "24h")
	addr := kesd.FreeAddr(t)
	// As the predecessor's documentation has it, spellings and all.
	config := `version: v1
address: ` + addr + `
admin:
  identity: ` + admin.ID + `
tls:
  key: server.key
  cert: server.crt
policy:
  my-app:
    allow:
    - /v1/key/create/my-*
    - /v1/key/generate/my-*
    - /v1/key/decrypt/my-*
    - /v1/key/describe/my-*
    - /v1/key/list/*
    - /v1/status
    - /v1/metrics
    - /v1/log/audit
    - /v1/log/error
    identities:
    - ` + minioID.ID + `
cache:
  expiry:
    any: 5m0s
    unused: 20s
log:
  error: on
  audit: off
keystore:
  fs:
    path: keys
`
	must(t, os.WriteFile(filepath.Join(d.dir, "config.yml"), []byte(config), 0o600))
	keys := filepath.Join(d.dir, "keys")
	must(t, os.Mkdir(keys, 0o700))
	var stored struct {
		Vectors []struct {
			Name string
			Text string `json:"raw_text"`
		}
	}
	vectorsOf(t, "stored_keys.json", &stored)
	for i, vector := range stored.Vectors {
		name := fmt.Sprintf("my-%d", i)
		if vector.Name == "protobuf, AES256" {
			name = "my-minio-key"
		}
		must(t, os.WriteFile(filepath.Join(keys, name), []byte(vector.Text), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(keys, "my-crash"), nil, 0o600))
	before := files(t, keys)
	if _, found := before["my-minio-key"]; !found {
		t.Fatal("where is the key?")
	}

	d.types(t, "predecessor-backup")
	kes := d.kesAt(t, "https://"+addr, admin)
	d.as(admin, "https://"+addr, server.CertFile)
	says(t, d.types(t, "predecessor-look"), "my-minio-key", "my-minio-key can be used")

	// A key's ciphertexts of before: those of the vectors, in all their forms, are opened by the tests of `compat`. Here
	// MinIO writes, and reads after each change of sides what it wrote before.
	c.env = append(c.env, "MINIO_ROOT_USER="+rootUser, "MINIO_ROOT_PASSWORD="+rootPassword,
		"MINIO_KMS_KES_ENDPOINT=https://"+addr, "MINIO_KMS_KES_KEY_NAME=my-minio-key",
		"MINIO_KMS_KES_CERT_FILE="+minioID.CertFile, "MINIO_KMS_KES_KEY_FILE="+minioID.KeyFile,
		"MINIO_KMS_KES_CAPATH="+server.CertFile)
	c.launch(t, rootUser, rootPassword)
	s := shelf{bucket: c.bucket(t), data: content(t, 5000), key: "my-minio-key"}
	c.store(t, s, "one")
	c.key(t, "my-new-key")
	s.key = "my-new-key"
	c.store(t, s, "two")

	// And back: the next to serve this folder finds every entry as it was. That it is we once more changes nothing of that.
	if !kes.Stop() {
		t.Error("kes did not end cleanly")
	}
	says(t, d.types(t, "predecessor-compare"), "all keys are as they were")
	after := files(t, keys)
	for name, text := range before {
		if after[name] != text {
			t.Errorf("the entry of %s has changed", name)
		}
		delete(after, name)
	}
	// What the predecessor writes starts like this, and has no line break.
	made := after["my-new-key"]
	delete(after, "my-new-key")
	if !strings.HasPrefix(made, "CiQK") || strings.ContainsAny(made, "\r\n ") || len(after) != 0 {
		t.Errorf("left in the folder: %q, and %d more", made, len(after))
	}
	if info, err := os.Stat(filepath.Join(keys, "my-new-key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new entry: %v, %v", info.Mode(), err)
	}
	d.kesAt(t, "https://"+addr, admin)
	s.key = "my-minio-key"
	c.readable(t, s, "one")
	s.key = "my-new-key"
	c.readable(t, s, "two")

	// A changed entry is not "as they were", and nothing of it is shown.
	changed := filepath.Join(keys, "my-1")
	text, err := os.ReadFile(changed)
	must(t, err)
	must(t, os.WriteFile(changed, append(text, 'x'), 0o600))
	if out := d.types(t, "predecessor-compare"); strings.Contains(out, "as they were") || strings.Contains(out, "CiQK") {
		t.Errorf("a changed key is not noticed, or shown: %s", out)
	}
}

// TestKeysMoveToAnotherKeystore migrates the keys of a MinIO from one folder to another, and back what is new.
func TestKeysMoveToAnotherKeystore(t *testing.T) {
	c, d := start(t), newDesk(t)
	s := c.shelf(t, "minio-moved")
	before := files(t, c.kes.Keys)
	moved := filepath.Join(d.dir, "moved")
	for name, path := range map[string]string{"old.yml": c.kes.Keys, "new.yml": moved} {
		text := fmt.Sprintf("keystore:\n  fs:\n    path: %q\n", path)
		must(t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
	}
	// Its server goes on meanwhile.
	says(t, d.types(t, "migrate"), "Dry run: 2 keys would be migrated.", "Migrated 2 keys successfully!")
	says(t, d.types(t, "migrate-check"), "no keys would be migrated")
	if got := files(t, moved); !equal(got, before) || !equal(files(t, c.kes.Keys), before) {
		t.Errorf("%d files arrived of %d", len(got), len(before))
	}

	c.kes.Stop()
	must(t, os.Rename(c.kes.Keys, c.kes.Keys+".away"))
	must(t, os.Rename(moved, c.kes.Keys))
	c.kes.Restart(t)
	c.readable(t, s, "before")
	c.store(t, s, "after")
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, text := range a {
		if other, found := b[name]; !found || other != text {
			return false
		}
	}
	return true
}

// builtinKey is a key of MinIO's own, and the root credentials that MinIO derives from it.
func builtinKey(t *testing.T) (setting, user, password string) {
	t.Helper()
	var vectors struct {
		HMAC []struct{ Key string } `json:"builtin_hmac"`
		Root struct {
			Access string `json:"access_key"`
			Secret string `json:"secret_key"`
		} `json:"builtin_hmac_root_credentials"`
	}
	vectorsOf(t, "minio_builtin.json", &vectors)
	return "MINIO_KMS_SECRET_KEY=minio-builtin:" + vectors.HMAC[0].Key, vectors.Root.Access, vectors.Root.Secret
}

// kesFor starts a kes that knows MinIO, as somebody at the desk would have it.
func (d *desk) kesFor(t *testing.T) *kesd.Server {
	t.Helper()
	minioID := kesd.NewIdentity(t, d.dir, "minio")
	server := kesd.Start(t, kesd.Config{Files: true, Policies: map[string]kesd.Policy{"minio": {
		Allow:      append(slices.Clone(policy), "/v1/key/hmac/minio-*"),
		Identities: []string{minioID.ID},
	}}})
	pem, err := os.ReadFile(server.CAFile)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(d.dir, "server.crt"), pem, 0o600))
	d.as(server.Admin, server.URL, server.CAFile)
	return server
}

// TestFromTheBuiltInKey starts MinIO with its built-in key, writes all that it encrypts, imports the key into kes, and
// switches MinIO over, and back.
func TestFromTheBuiltInKey(t *testing.T) {
	setting, _, _ := builtinKey(t)
	c, d := prepare(t), newDesk(t)
	plain := append(slices.Clone(c.env), "MINIO_ROOT_USER="+rootUser, "MINIO_ROOT_PASSWORD="+rootPassword)
	c.env = append(slices.Clone(plain), setting)
	c.launch(t, rootUser, rootPassword)

	s := shelf{bucket: c.bucket(t), data: content(t, 9000), key: "minio-builtin"}
	c.store(t, s, "builtin")
	big := content(t, 6<<20)
	c.put(t, s.bucket, "parts", big, minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE(), PartSize: 5 << 20}, sse3())
	allowed, forbidden := s.bucket, c.bucket(t)
	c.alice(t, allowed)
	c.aliceMay(t, allowed, forbidden)

	c.kes = d.kesFor(t)
	d.env = append(d.env, setting)
	says(t, d.types(t, "builtin-import"), "minio-builtin", "AES256")
	if _, err := os.Stat(filepath.Join(d.dir, "builtin.key")); !os.IsNotExist(err) {
		t.Error("the key is left in a file")
	}

	// With both kinds of setting MinIO does not start, as the page says.
	c.minio.Stop()
	c.env = append(d.exported(t, plain), setting)
	c.minio = c.spawnMinIO(t)
	if !c.minio.AwaitExit(readyLimit) {
		t.Error("MinIO starts with both settings")
	}
	c.minio.Kill()

	c.env = d.exported(t, plain)
	c.restartMinIO(t)
	c.readable(t, s, "builtin")
	c.check(t, s.bucket, "parts", big, sse3())
	c.aliceMay(t, allowed, forbidden)
	c.lists(t, s.bucket, "builtin-kms", "builtin-s3", "hers", "parts")
	c.store(t, s, "kes")
	other := s
	other.key = c.key(t, "minio-other")
	c.store(t, other, "other")
	// It is kes that encrypts now.
	c.kes.Stop()
	c.unreadable(t, s, "builtin-s3")
	c.unreadable(t, s, "kes-s3")
	c.kes.Restart(t)
	c.readable(t, s, "kes")

	// And back: MinIO of today opens what kes has sealed, with the one key that it has.
	c.minio.Stop()
	c.kes.Stop()
	c.env = append(slices.Clone(plain), setting)
	c.restartMinIO(t)
	c.readable(t, s, "builtin")
	c.readable(t, s, "kes")
	c.check(t, s.bucket, "parts", big, sse3())
	c.aliceMay(t, allowed, forbidden)
	c.unreadable(t, other, "other-kms")
}

// TestDerivedRootCredentialsStay moves a MinIO that has no root credentials but those that it derives from its key. It
// lets nobody in with them, but says whether it knows the name.
func TestDerivedRootCredentialsStay(t *testing.T) {
	setting, user, password := builtinKey(t)
	c, d := prepare(t), newDesk(t)
	plain := append(slices.Clone(c.env), "MINIO_API_ROOT_ACCESS=off")
	c.env = append(slices.Clone(plain), setting)
	c.addr = kesd.FreeAddr(t)
	c.minio = c.spawnMinIO(t)
	if !c.knows(t, user, password) {
		t.Fatal("MinIO does not know the credentials that its key makes")
	}
	c.minio.Stop()

	c.kes = d.kesFor(t)
	d.env = append(d.env, setting)
	d.types(t, "builtin-import")
	c.env = d.exported(t, plain)
	c.minio = c.spawnMinIO(t)
	if !c.knows(t, user, password) {
		t.Error("behind kes, MinIO has other credentials")
	}
	c.minio.Stop()

	// Another HMAC key makes others: the test can tell.
	c.env = append(c.env, "MINIO_KMS_KES_KEY_NAME=minio-other")
	c.minio = c.spawnMinIO(t)
	if c.knows(t, user, password) {
		t.Error("MinIO has the same credentials with another key")
	}
}

// knows tells whether a user is root, whom MinIO does not let in, once it serves.
func (c *cluster) knows(t *testing.T, user, password string) bool {
	t.Helper()
	stranger, client := c.client(t, "nobody", "nobodys-password"), c.client(t, user, password)
	refusal := func(client *minio.Client) string {
		_, err := client.ListBuckets(limited(t))
		return minio.ToErrorResponse(err).Message
	}
	c.minio.Await(t, readyLimit, func() error {
		if said := refusal(stranger); !strings.Contains(said, "does not exist in our records") {
			return fmt.Errorf("a stranger is told %q", said)
		}
		return nil
	})
	return strings.Contains(refusal(client), "account is disabled")
}

// exported is `env` with the settings of MinIO that the page exports.
func (d *desk) exported(t *testing.T, env []string) []string {
	t.Helper()
	cmd := d.command(t, "builtin-switch", "\nenv -0\n")
	out, err := cmd.Output()
	must(t, err)
	env = slices.Clone(env)
	for _, entry := range strings.Split(string(out), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "MINIO_KMS_") {
			// MinIO runs elsewhere: the page's paths are those of the folder where it was typed.
			if slices.Contains([]string{"minio.crt", "minio.key", "server.crt"}, value) {
				value = filepath.Join(d.dir, value)
			}
			env = append(env, name+"="+value)
		}
	}
	return env
}

// alice makes a user who may use one bucket.
func (c *cluster) alice(t *testing.T, bucket string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.json")
	must(t, os.WriteFile(file, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],`+
		`"Resource":["arn:aws:s3:::`+bucket+`/*"]}]}`), 0o600))
	c.mc(t, "admin", "user", "add", "m", "alice", "the-password-of-alice")
	c.mc(t, "admin", "policy", "create", "m", "only-one-bucket", file)
	c.mc(t, "admin", "policy", "attach", "m", "only-one-bucket", "--user", "alice")
}

// lists checks the names in a bucket. Listing opens the data key of each object to tell its ETag.
func (c *cluster) lists(t *testing.T, bucket string, want ...string) {
	t.Helper()
	var got []string
	for object := range c.s3.ListObjects(limited(t), bucket, minio.ListObjectsOptions{}) {
		must(t, object.Err)
		got = append(got, object.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s lists %q, want %q", bucket, got, want)
	}
}

// TestFromTheHexMasterKey imports a master key in hex as the page says: what MinIO of 2021-05-11 to 2021-06-07 sealed with
// it opens (it is the form of the built-in key, of which there are vectors), and what was sealed before is refused. MinIO
// itself has known neither since, and ignores the variable.
func TestFromTheHexMasterKey(t *testing.T) {
	type sealed struct {
		Name, Key, AAD, Plaintext, Ciphertext string
		SealedWith                            string `json:"sealed_with"`
	}
	var vectors struct {
		Sealed  []sealed
		Retired []struct {
			Name, Master, Plaintext, Ciphertext string
			Context                             string `json:"context_bytes"`
		} `json:"retired_master_key"`
	}
	vectorsOf(t, "minio_builtin.json", &vectors)
	retired := vectors.Retired[0]
	server := kesd.Start(t, kesd.Config{Files: true})
	d := newDesk(t)
	d.as(server.Admin, server.URL, server.CAFile)

	opened := 0
	for i, vector := range vectors.Sealed {
		text, err := base64.StdEncoding.DecodeString(vector.Ciphertext)
		must(t, err)
		if !strings.HasPrefix(vector.Name, "builtin-json") || !bytes.HasPrefix(text, []byte("{")) {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(vector.Key)
		must(t, err)
		name := fmt.Sprintf("minio-hex-%d", i)
		at := len(d.env)
		d.env = append(d.env, "MINIO_KMS_MASTER_KEY="+name+":"+hex.EncodeToString(key))
		d.types(t, "hex-import")
		out, err := d.kes("key", "decrypt", name, vector.Ciphertext, vector.AAD, "--json")
		if err != nil || !strings.Contains(out, vector.Plaintext) {
			t.Errorf("%s: %v: %s", vector.Name, err, out)
		}
		d.env = d.env[:at]
		opened++
	}
	if opened < 3 {
		t.Errorf("only %d vectors of that form", opened)
	}

	// The older form: the right key is there, and does not open it.
	master, err := base64.StdEncoding.DecodeString(retired.Master)
	must(t, err)
	d.env = append(d.env, "MINIO_KMS_MASTER_KEY=my-minio-key:"+hex.EncodeToString(master))
	d.types(t, "hex-import")
	out, err := d.kes("key", "decrypt", "my-minio-key", retired.Ciphertext, retired.Context, "--json")
	if err == nil || !strings.Contains(out, "ciphertext is not authentic") {
		t.Errorf("%s: %v: %s", retired.Name, err, out)
	}
}

// kes runs the program at the desk.
func (d *desk) kes(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(d.dir, "bin", "kes"), args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCopyFromAnOldMinIO copies objects between two servers as the page says. A current MinIO without keys stands for the
// old release, which cannot be run any more; it is also what becomes of such a server when it is upgraded: it ignores the
// old variables, and starts.
func TestCopyFromAnOldMinIO(t *testing.T) {
	old := prepare(t)
	old.env = append(old.env, "MINIO_ROOT_USER="+rootUser, "MINIO_ROOT_PASSWORD="+rootPassword,
		"MINIO_KMS_MASTER_KEY=my-minio-key:"+strings.Repeat("5a", 32),
		"MINIO_SSE_MASTER_KEY=my-minio-key:"+strings.Repeat("5a", 32),
		"MINIO_KMS_VAULT_ENDPOINT=http://127.0.0.1:1", "MINIO_KMS_VAULT_KEY_NAME=my-key", "MINIO_KMS_VAULT_AUTH_TYPE=approle",
		"MINIO_KMS_VAULT_APPROLE_ID=id", "MINIO_KMS_VAULT_APPROLE_SECRET=secret")
	old.launch(t, rootUser, rootPassword)
	must(t, old.s3.MakeBucket(limited(t), "photos", minio.MakeBucketOptions{}))
	_, err := old.s3.PutObject(limited(t), "photos", "refused", bytes.NewReader(nil), 0,
		minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE()})
	if err == nil {
		t.Error("MinIO encrypts with a retired variable: the page says that it ignores them")
	}

	c, d := start(t), newDesk(t)
	c.key(t, "minio-photos")
	data := map[string][]byte{}
	for _, name := range []string{"2019/cat.jpg", "2020/a b&c.jpg", "big"} {
		data[name] = content(t, 3000+200_000*len(data))
		_, err := old.s3.PutObject(limited(t), "photos", name, bytes.NewReader(data[name]), int64(len(data[name])),
			minio.PutObjectOptions{ContentType: "image/jpeg", UserMetadata: map[string]string{"Camera": "K1000"}})
		must(t, err)
	}
	host := func(c *cluster) string { return "http://" + rootUser + ":" + rootPassword + "@" + c.addr }
	d.env = append(d.env, "MC_HOST_old="+host(old), "MC_HOST_new="+host(c))
	d.types(t, "copy")
	for name, bytes := range data {
		c.check(t, "photos", name, bytes, sseKMS("minio-photos"))
		info, err := c.s3.StatObject(limited(t), "photos", name, minio.StatObjectOptions{})
		must(t, err)
		if info.ContentType != "image/jpeg" || info.UserMetadata["Camera"] != "K1000" {
			t.Errorf("%s: %s, %v", name, info.ContentType, info.UserMetadata)
		}
	}
	// Again: nothing to do, and nothing that differs.
	d.types(t, "copy")
}
