// Package minio tests `kes` with a real MinIO in front of it: see README.md.
package minio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"kes/tests/kesd"
)

const (
	defaultKey = "minio-default" // what MinIO seals with unless told otherwise

	rootUser     = "kes-test-root"
	rootPassword = "kes-test-root-password"

	readyLimit = time.Minute // four drives are formatted at the first start
	callLimit  = 2 * time.Minute
	bindTries  = 5
)

// policy is the least that MinIO of 2024-05-10 and later needs, for keys whose names start with `minio-`. It is the
// policy that our documentation recommends; a call of MinIO that it does not cover fails these tests.
var policy = []string{
	"/v1/key/create/minio-*",
	"/v1/key/generate/minio-*",
	"/v1/key/decrypt/minio-*",
	"/v1/key/describe/minio-*",
	"/v1/key/list/*",
	"/v1/status",
}

// cluster is a kes server and a MinIO server of one node and four drives that depends on it.
type cluster struct {
	kes   *kesd.Server
	minio *kesd.Process

	s3   *minio.Client
	core minio.Core

	dir      string // everything else lies in it
	addr     string // of MinIO
	user     string // its root
	password string
	drives   []string // folders where MinIO keeps its data
	env      []string // of MinIO
	mcDir    string   // configuration of mc
	names    int      // buckets made so far
}

// start brings up both servers. Nothing exists yet but the default key, which MinIO makes by itself.
func start(t *testing.T) *cluster {
	t.Helper()
	return startWith(t, kesd.Config{}, func(c *cluster) string { return c.kes.URL })
}

// startWith does the same with more of a configuration for kes; `endpoints` is called once kes runs, and says what MinIO is to
// be told about where it is.
func startWith(t *testing.T, config kesd.Config, endpoints func(c *cluster) string) *cluster {
	t.Helper()
	c := prepare(t)
	id := kesd.NewIdentity(t, c.dir, "minio")
	config.Files = true
	config.Policies = map[string]kesd.Policy{"minio": {Allow: policy, Identities: []string{id.ID}}}
	c.kes = kesd.Start(t, config)
	c.env = append(c.env,
		"MINIO_ROOT_USER="+rootUser,
		"MINIO_ROOT_PASSWORD="+rootPassword,
		"MINIO_KMS_KES_ENDPOINT="+endpoints(c),
		"MINIO_KMS_KES_KEY_NAME="+defaultKey,
		"MINIO_KMS_KES_CERT_FILE="+id.CertFile,
		"MINIO_KMS_KES_KEY_FILE="+id.KeyFile,
		"MINIO_KMS_KES_CAPATH="+c.kes.CAFile,
	)
	if status, _ := c.call(t, http.MethodGet, "/v1/key/describe/"+defaultKey, nil); status != http.StatusNotFound {
		t.Fatalf("the default key is there before MinIO: status %d", status)
	}
	c.launch(t, rootUser, rootPassword)
	return c
}

// prepare makes the drives of a MinIO and the part of its environment that has nothing to do with keys.
func prepare(t *testing.T) *cluster {
	t.Helper()
	kesd.Tool(t, "minio")
	kesd.Tool(t, "mc")
	dir := t.TempDir()
	c := &cluster{dir: dir, mcDir: filepath.Join(dir, "mc")}
	for i := range 4 {
		drive := filepath.Join(dir, fmt.Sprintf("drive%d", i+1))
		must(t, os.Mkdir(drive, 0o700))
		c.drives = append(c.drives, drive)
	}
	c.env = []string{
		"HOME=" + dir,
		"PATH=" + os.Getenv("PATH"),
		"MINIO_CI_CD=1", // allows drives on the system's disk
		"MINIO_BROWSER=off",
		"MINIO_UPDATE=off",
	}
	return c
}

// launch starts MinIO for the first time, and waits until it serves these root credentials.
func (c *cluster) launch(t *testing.T, user, password string) {
	t.Helper()
	for try := 1; ; try++ {
		c.addr = kesd.FreeAddr(t)
		c.user, c.password = user, password
		c.s3 = c.client(t, user, password)
		c.minio = c.spawnMinIO(t)
		if c.awaitMinIO(t) {
			break
		}
		if try == bindTries || !strings.Contains(c.minio.Output(), "in use") {
			t.Fatalf("MinIO does not start:\n%s", c.minio.Output())
		}
	}
	c.core = minio.Core{Client: c.s3}
}

func (c *cluster) spawnMinIO(t *testing.T) *kesd.Process {
	t.Helper()
	cmd := exec.Command(kesd.Tool(t, "minio"), append([]string{"server", "--address", c.addr}, c.drives...)...)
	cmd.Env = c.env
	return kesd.Run(t, "minio", cmd)
}

// awaitMinIO polls until MinIO serves: its readiness check makes and opens a data key at kes; after that it still has to
// find its buckets, and to read its users through kes. False: MinIO has ended or hangs.
func (c *cluster) awaitMinIO(t *testing.T) bool {
	t.Helper()
	stranger := c.client(t, "nobody", "nobodys-password")
	for deadline := time.Now().Add(readyLimit); time.Now().Before(deadline) && !c.minio.Exited(); {
		if c.ready(stranger) {
			return true
		}
		time.Sleep(50 * time.Millisecond) // between two polls
	}
	return false
}

func (c *cluster) ready(stranger *minio.Client) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+"/minio/health/ready", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false
	}
	if _, err := c.s3.ListBuckets(ctx); err != nil {
		return false
	}
	// Until the users are read, MinIO does not say that there is no such user, but that it is not ready.
	_, err = stranger.ListBuckets(ctx)
	return minio.ToErrorResponse(err).Code == "InvalidAccessKeyId"
}

// restartMinIO starts MinIO again, after it was stopped or killed, on its drives and its port.
func (c *cluster) restartMinIO(t *testing.T) {
	t.Helper()
	for try := 1; ; try++ {
		c.minio = c.spawnMinIO(t)
		if c.awaitMinIO(t) {
			return
		}
		if try == bindTries || !strings.Contains(c.minio.Output(), "in use") {
			t.Fatalf("MinIO does not start again:\n%s", c.minio.Output())
		}
	}
}

// client is an S3 client that does not retry: a failure is a finding.
func (c *cluster) client(t *testing.T, user, password string) *minio.Client {
	t.Helper()
	client, err := minio.New(c.addr, &minio.Options{
		Creds:      credentials.NewStaticV4(user, password, ""),
		MaxRetries: 1,
	})
	must(t, err)
	return client
}

// mcTry runs `mc --json` and returns the JSON objects that it prints, and the error text if it fails.
func (c *cluster) mcTry(t *testing.T, args ...string) ([]map[string]any, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, kesd.Tool(t, "mc"), append([]string{"--json"}, args...)...)
	cmd.Env = []string{
		"HOME=" + filepath.Dir(c.mcDir),
		"PATH=" + os.Getenv("PATH"),
		"MC_CONFIG_DIR=" + c.mcDir,
		"MC_HOST_m=http://" + c.user + ":" + c.password + "@" + c.addr,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("mc %s: %w: %s", strings.Join(args, " "), err, out)
	}
	var objects []map[string]any
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var object map[string]any
		if err := dec.Decode(&object); err == io.EOF {
			return objects, nil
		} else if err != nil {
			t.Fatalf("mc %s prints no JSON: %v\n%s", strings.Join(args, " "), err, out)
		}
		objects = append(objects, object)
	}
}

// mc runs `mc --json`, which must succeed, and returns the first JSON object that it prints.
func (c *cluster) mc(t *testing.T, args ...string) map[string]any {
	t.Helper()
	objects, err := c.mcTry(t, args...)
	must(t, err)
	if len(objects) == 0 {
		t.Fatalf("mc %s prints nothing", strings.Join(args, " "))
	}
	return objects[0]
}

// mcFails runs `mc --json`, which must fail and say `want` somewhere.
func (c *cluster) mcFails(t *testing.T, want string, args ...string) {
	t.Helper()
	if objects, err := c.mcTry(t, args...); err == nil {
		t.Errorf("mc %s succeeds: %v", strings.Join(args, " "), objects)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("mc %s fails without saying %q: %v", strings.Join(args, " "), want, err)
	}
}

// key makes a key through MinIO, as a user does.
func (c *cluster) key(t *testing.T, name string) string {
	t.Helper()
	_, err := c.mcTry(t, "admin", "kms", "key", "create", "m", name) // prints nothing
	must(t, err)
	return name
}

// bucket makes a bucket that no other test uses.
func (c *cluster) bucket(t *testing.T) string {
	t.Helper()
	c.names++
	name := fmt.Sprintf("bucket-%d", c.names)
	must(t, c.s3.MakeBucket(limited(t), name, minio.MakeBucketOptions{}))
	return name
}

// call sends one request to kes as its admin, without any SDK: `body` as JSON unless nil.
func (c *cluster) call(t *testing.T, method, path string, body any) (int, []byte) {
	t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		must(t, err)
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(limited(t), method, c.kes.URL+path, reader)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   c.kes.TLS(t, c.kes.Admin),
		DisableKeepAlives: true,
	}}
	res, err := client.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, answer
}

// limited is a context that ends with the test, and long before the time limit of `go test`.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
