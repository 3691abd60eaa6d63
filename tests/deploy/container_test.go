package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"go.yaml.in/yaml/v3"

	"kes/tests/kesd"
)

const (
	readyLimit = 30 * time.Second

	// What the operator calls the service of a tenant.
	service = "tenant-kes-hl-svc.tenant.svc.cluster.local"
)

// stages reads deploy/Containerfile with the parser of those who will build it.
func stages(t testing.TB) []instructions.Stage {
	t.Helper()
	file, err := os.Open(filepath.Join(folder(t), "Containerfile"))
	must(t, err)
	defer func() { _ = file.Close() }()
	parsed, err := parser.Parse(file)
	must(t, err)
	stages, _, err := instructions.Parse(parsed.AST, nil)
	must(t, err)
	return stages
}

// TestTheImageHoldsTheProgramAndNothingElse looks at what the last stage of the Containerfile says.
func TestTheImageHoldsTheProgramAndNothingElse(t *testing.T) {
	all := stages(t)
	last := all[len(all)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is made from %s", last.BaseName)
	}
	var said []string
	for _, command := range last.Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			if !slices.ContainsFunc(all, func(s instructions.Stage) bool { return s.Name == c.From }) {
				t.Errorf("%v copies from no stage", c)
			}
			said = append(said, "COPY "+c.DestPath)
		case *instructions.LabelCommand:
		case *instructions.UserCommand:
			said = append(said, "USER "+c.User)
		case *instructions.ExposeCommand:
			said = append(said, "EXPOSE "+strings.Join(c.Ports, " "))
		case *instructions.EntrypointCommand:
			said = append(said, fmt.Sprintf("ENTRYPOINT %q shell=%v", c.CmdLine, c.PrependShell))
		case *instructions.CmdCommand:
			said = append(said, fmt.Sprintf("CMD %q shell=%v", c.CmdLine, c.PrependShell))
		default:
			t.Errorf("unexpected: %v", c)
		}
	}
	want := []string{
		"COPY /etc/ssl/certs/ca-certificates.crt", "COPY /kes", "USER 1000:1000", "EXPOSE 7373",
		`ENTRYPOINT ["/kes"] shell=false`, `CMD ["--help"] shell=false`,
	}
	if !slices.Equal(said, want) {
		t.Errorf("the image is\n%q, want\n%q", said, want)
	}
}

// static is the program as it is put into the image.
func static(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root may make namespaces and change roots")
	}
	bin := os.Getenv("KES_STATIC_BIN")
	if bin == "" {
		kesd.Missing(t, "static kes", "make static, and set KES_STATIC_BIN to its path")
	}
	path, err := filepath.Abs(bin)
	must(t, err)
	return path
}

// TestTheProgramNeedsNothingAroundIt: no dynamic loader, and nothing that it would load.
func TestTheProgramNeedsNothingAroundIt(t *testing.T) {
	headers := run(t, os.Environ(), "readelf", "-ldW", static(t))
	for _, word := range []string{"INTERP", "NEEDED"} {
		if strings.Contains(headers, word) {
			t.Errorf("the program is not static:\n%s", headers)
		}
	}
	if !regexp.MustCompile(`FLAGS_1.*\bPIE\b`).MatchString(headers) {
		t.Error("the program is always at the same address")
	}
}

// pod is a container as MinIO's operator makes it: a root with nothing in it but the program and the mounted files, read only, without
// /proc, in a network of its own.
type pod struct {
	*kesd.Process
	root string
	data string // what is mounted at /tmp/kes
}

// operatorFile is the configuration of deploy/kubernetes/tenant.yaml with another keystore: there is no Vault here.
func operatorFile(t testing.TB, keystore string) string {
	t.Helper()
	all := documents(t, filepath.Join(folder(t), "kubernetes/tenant.yaml"))
	text := at(t, kind(t, all, "Secret"), "stringData", "server-config.yaml").(string)
	var config map[string]any
	must(t, yaml.Unmarshal([]byte(text), &config))
	at(t, config, "keystore", "vault")
	before, _, found := strings.Cut(text, "\nkeystore:")
	if !found {
		t.Fatal("the keystore does not come last")
	}
	return before + "\n" + keystore
}

// startPod runs the program as the operator does. `keystore` is a section of the configuration; with `writable`, there is a folder /keys.
func startPod(t testing.TB, keystore string, writable bool) (*pod, kesd.Identity) {
	t.Helper()
	bin, dir := static(t), t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	p := &pod{root: filepath.Join(dir, "root"), data: filepath.Join(dir, "root/tmp/kes")}
	must(t, os.MkdirAll(p.data, 0o755))
	copyFile(t, bin, filepath.Join(p.root, "kes"), 0o755)

	server := kesd.NewIdentity(t, dir, "server", "--dns", service, "--ip", "127.0.0.1")
	minio := kesd.NewIdentity(t, dir, "minio")
	p.project(t, "1", map[string][]byte{
		"server-config.yaml": []byte(operatorFile(t, keystore)),
		"server.crt":         readFile(t, server.CertFile),
		"server.key":         readFile(t, server.KeyFile),
	})
	mounts := `mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"`
	if writable {
		must(t, os.Mkdir(filepath.Join(p.root, "keys"), 0o755))
		mounts += `; mount -t tmpfs -o uid=1000,mode=700 keys "$0/keys"`
	}
	script := `ip link set lo up; ` + mounts +
		`; exec setpriv --no-new-privs unshare --root="$0" --setuid=1000 --setgid=1000 /kes "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--net", "sh", "-ec", script, p.root}, operatorArguments...)...)
	// What a runtime and the operator set, and nothing else.
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=tenant-kes-0", "HOME=/", "MINIO_KES_IDENTITY=" + minio.ID}
	p.Process = kesd.Run(t, "kes", cmd)
	serving(t, p.Process)
	return p, minio
}

// operatorArguments are what the operator gives to the entry point.
var operatorArguments = []string{"server", "--config=/tmp/kes/server-config.yaml", "--auth=off"}

// project puts files where the kubelet would: in a folder of their own, which a link that is replaced points to.
func (p *pod) project(t testing.TB, version string, files map[string][]byte) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(p.data, "..v"+version), 0o755))
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(p.data, "..v"+version, name), text, 0o644))
		link := filepath.Join(p.data, name)
		if _, err := os.Lstat(link); errors.Is(err, os.ErrNotExist) {
			must(t, os.Symlink("..data/"+name, link))
		}
	}
	fresh := filepath.Join(p.data, "..data_tmp")
	must(t, os.Symlink("..v"+version, fresh))
	must(t, os.Rename(fresh, filepath.Join(p.data, "..data")))
}

// client runs the command line in the network of the pod, and in a root as empty as the pod's.
type client struct {
	pod  *pod
	root string
}

func (p *pod) client(t testing.TB, id kesd.Identity, ca []byte) *client {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	c := &client{pod: p, root: filepath.Join(dir, "root")}
	must(t, os.MkdirAll(filepath.Join(c.root, "etc"), 0o755))
	copyFile(t, static(t), filepath.Join(c.root, "kes"), 0o755)
	for name, text := range map[string][]byte{
		"client.crt": readFile(t, id.CertFile), "client.key": readFile(t, id.KeyFile), "ca.crt": ca,
		"etc/resolv.conf": []byte("nameserver 127.0.0.1\n"),
	} {
		must(t, os.WriteFile(filepath.Join(c.root, name), text, 0o644))
	}
	return c
}

func (c *client) kes(t testing.TB, args ...string) string {
	t.Helper()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "KES_SERVER=https://" + service + ":7373",
		"KES_CLIENT_CERT=/client.crt", "KES_CLIENT_KEY=/client.key", "KES_CA=/ca.crt",
	}
	words := append([]string{
		fmt.Sprintf("--net=/proc/%d/ns/net", c.pod.Pid()), "unshare", "--root=" + c.root, "--setuid=1000", "--setgid=1000", "/kes",
	}, args...)
	return run(t, env, "nsenter", words...)
}

// opens makes a data key, and checks that the key opens it again.
func (c *client) opens(t testing.TB, key string) {
	t.Helper()
	var sealed struct{ Plaintext, Ciphertext string }
	must(t, json.Unmarshal([]byte(c.kes(t, "key", "dek", "--json", key)), &sealed))
	var opened struct{ Plaintext string }
	must(t, json.Unmarshal([]byte(c.kes(t, "key", "decrypt", "--json", key, sealed.Ciphertext)), &opened))
	if opened.Plaintext != sealed.Plaintext || opened.Plaintext == "" {
		t.Error("a data key does not open as it was made")
	}
}

// TestTheProgramServesInAnEmptyRoot starts it as MinIO's operator would, looks its name up, and uses it.
func TestTheProgramServesInAnEmptyRoot(t *testing.T) {
	p, minio := startPod(t, "keystore:\n  fs:\n    path: /keys\n", true)
	p.confined(t)
	serveNames(t, p.Pid(), service)
	c := p.client(t, minio, readFile(t, filepath.Join(p.data, "server.crt")))
	for _, key := range []string{"first", "second"} {
		c.kes(t, "key", "create", key)
	}
	c.opens(t, "first")
	if listed := c.kes(t, "key", "ls"); !strings.Contains(listed, "first") || !strings.Contains(listed, "second") {
		t.Errorf("listed: %s", listed)
	}

	// Renewed certificates come by a link that is replaced.
	server := kesd.NewIdentity(t, t.TempDir(), "renewed", "--dns", service)
	p.project(t, "2", map[string][]byte{
		"server-config.yaml": []byte(operatorFile(t, "keystore:\n  fs:\n    path: /keys\n")),
		"server.crt":         readFile(t, server.CertFile),
		"server.key":         readFile(t, server.KeyFile),
	})
	p.Await(t, readyLimit, func() error { return says(p.Process, "reloaded") })
	c = p.client(t, minio, readFile(t, server.CertFile))
	c.kes(t, "key", "info", "first")
	if !p.Stop() {
		t.Errorf("SIGTERM does not end it with status 0:\n%s", p.Output())
	}
}

// TestTheProgramNeedsNoPlaceToWriteTo: the root is read only, keys are in memory.
func TestTheProgramNeedsNoPlaceToWriteTo(t *testing.T) {
	p, minio := startPod(t, "", false)
	p.confined(t)
	serveNames(t, p.Pid(), service)
	c := p.client(t, minio, readFile(t, filepath.Join(p.data, "server.crt")))
	c.kes(t, "key", "create", "first")
	c.opens(t, "first")
	if !p.Stop() {
		t.Errorf("SIGTERM does not end it with status 0:\n%s", p.Output())
	}
}

// confined checks that the server has as little as it was to have.
func (p *pod) confined(t testing.TB) {
	t.Helper()
	status := string(readFile(t, fmt.Sprintf("/proc/%d/status", p.Pid())))
	for _, line := range []string{"Uid:\t1000\t1000\t1000\t1000", "Gid:\t1000\t1000\t1000\t1000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, line) {
			t.Errorf("no %q in %s", line, status)
		}
	}
	root, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", p.Pid()))
	must(t, err)
	for _, entry := range root {
		if name := entry.Name(); name != "kes" && name != "tmp" && name != "keys" {
			t.Errorf("there is /%s", name)
		}
	}
	// As the process sees it, from inside of its mounts.
	probe := exec.Command("nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", p.Pid()), "touch", filepath.Join(p.root, "tmp/kes/probe"))
	if out, err := probe.CombinedOutput(); err == nil || !strings.Contains(string(out), "Read-only") {
		t.Errorf("the root can be written to: %s", out)
	}
}

func says(p *kesd.Process, text string) error {
	if !strings.Contains(p.Output(), text) {
		return fmt.Errorf("it does not say %q", text)
	}
	return nil
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}

func copyFile(t testing.TB, from, to string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(to, readFile(t, from), mode))
	must(t, os.Chmod(to, mode))
}
