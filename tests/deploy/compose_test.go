package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"kes/tests/kesd"
)

// project reads deploy/compose.yaml as docker compose does: checked against the schema, variables filled in.
func project(t testing.TB) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(folder(t), "compose.yaml")},
		cli.WithEnv([]string{"MINIO_ROOT_PASSWORD=a-password"}))
	must(t, err)
	project, err := options.LoadProject(context.Background())
	must(t, err)
	return project
}

// TestComposeStartsWhatWorks does what compose.yaml says, without containers: runs the script of `init`, starts kes with its command line,
// asks with its health check, and uses it with what MinIO is given.
func TestComposeStartsWhatWorks(t *testing.T) {
	p, bin, dir := project(t), kesd.Bin(t), t.TempDir()
	initial, kes, minio := p.Services["init"], p.Services["kes"], p.Services["minio"]

	// Folders of this machine in place of volumes.
	here := func(text string) string {
		for _, volume := range []string{"config", "keys", "minio"} {
			text = strings.ReplaceAll(text, "/"+volume+"/", filepath.Join(dir, volume)+"/")
			if text == "/"+volume {
				text = filepath.Join(dir, volume)
			}
		}
		return text
	}
	environment := func(service types.ServiceConfig) []string {
		env := []string{"PATH=" + os.Getenv("PATH")}
		for name, value := range service.Environment {
			env = append(env, name+"="+here(*value))
		}
		return env
	}
	for _, name := range []string{"CONFIG", "KEYS", "MINIO"} {
		target := *initial.Environment[name]
		if !slices.ContainsFunc(initial.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == target }) {
			t.Errorf("init: %s is %s, which is no volume", name, target)
		}
	}
	script := filepath.Join(filepath.Dir(folder(t)), strings.TrimPrefix(initial.Command[0], "/src/"))
	env := append(environment(initial), "KES_BIN="+bin)
	run(t, env, script)
	config := readFile(t, filepath.Join(dir, "config/config.yaml"))
	run(t, env, script) // and once more, as at each start
	if again := readFile(t, filepath.Join(dir, "config/config.yaml")); string(again) != string(config) {
		t.Error("the second start has changed the configuration")
	}

	addr := kesd.FreeAddr(t)
	var args []string
	for _, word := range kes.Command {
		flag, value, is := strings.Cut(word, "=")
		if is {
			word = flag + "=" + here(value)
		}
		args = append(args, word)
	}
	cmd := exec.Command(bin, append(args, "--addr", addr)...)
	cmd.Env = environment(kes)
	server := kesd.Run(t, "kes", cmd)
	serving(t, server)

	check := kes.HealthCheck.Test
	if check[0] != "CMD" || check[1] != "/kes" {
		t.Fatalf("the health check is %v", check)
	}
	run(t, append(environment(kes), "KES_SERVER=https://"+addr), bin, check[2:]...)

	client := append(environment(minio), "KES_SERVER=https://"+addr,
		"KES_CLIENT_CERT="+here(*minio.Environment["MINIO_KMS_KES_CERT_FILE"]),
		"KES_CLIENT_KEY="+here(*minio.Environment["MINIO_KMS_KES_KEY_FILE"]),
		"KES_CA="+here(*minio.Environment["MINIO_KMS_KES_CAPATH"]))
	key := *minio.Environment["MINIO_KMS_KES_KEY_NAME"]
	run(t, client, bin, "key", "create", key)
	run(t, client, bin, "key", "dek", key)
	if _, err := os.Stat(filepath.Join(dir, "keys", key)); err != nil {
		t.Errorf("the key is not in the volume: %v", err)
	}
	// MinIO's name for the server is in the certificate.
	endpoint := *minio.Environment["MINIO_KMS_KES_ENDPOINT"]
	if endpoint != "https://kes:7373" {
		t.Errorf("MinIO asks at %s, which is not the service kes", endpoint)
	}
	names := run(t, os.Environ(), "openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", filepath.Join(dir, "config/server.crt"))
	if !strings.Contains(names, "DNS:kes,") {
		t.Errorf("the certificate is for %s", names)
	}
	if !server.Stop() {
		t.Error("kes did not end cleanly")
	}
}
