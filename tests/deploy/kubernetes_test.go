package deploy

import (
	"crypto/tls"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"os"

	"kes/tests/kesd"
)

// TestKubernetesTakesTheManifests checks them against the schemas of Kubernetes, of an old release and of a new one.
func TestKubernetesTakesTheManifests(t *testing.T) {
	validate := kesd.Tool(t, "kubernetes-validate")
	manifests := filepath.Join(folder(t), "kubernetes/kes.yaml")
	for _, release := range []string{"1.28", "1.36"} {
		run(t, os.Environ(), validate, "--strict", "-k", release, manifests)
	}
	// It is not blind.
	text := strings.Replace(string(readFile(t, manifests)), "runAsNonRoot: true", "runAsNonRoot: maybe", 1)
	wrong := filepath.Join(t.TempDir(), "wrong.yaml")
	must(t, os.WriteFile(wrong, []byte(text), 0o600))
	if err := exec.Command(validate, "--strict", "-k", "1.36", wrong).Run(); err == nil {
		t.Error("a wrong manifest is taken, too")
	}
}

// TestThePodOfTheManifestsIsProbedWithoutACertificate starts the server with the configuration and the command line of the StatefulSet.
func TestThePodOfTheManifestsIsProbedWithoutACertificate(t *testing.T) {
	all := documents(t, filepath.Join(folder(t), "kubernetes/kes.yaml"))
	container := at(t, kind(t, all, "StatefulSet"), "spec", "template", "spec", "containers", 0)
	var secret map[string]any
	for _, document := range all {
		if document["kind"] == "Secret" {
			secret = document
		}
	}
	dir := t.TempDir()
	server := kesd.NewIdentity(t, dir, "tls", "--dns", "localhost", "--ip", "127.0.0.1")
	minio := kesd.NewIdentity(t, dir, "minio")
	config := at(t, secret, "stringData", "config.yaml").(string)
	for _, mount := range at(t, container, "volumeMounts").([]any) {
		path := at(t, mount, "mountPath").(string)
		config = strings.ReplaceAll(config, " "+path, " "+filepath.Join(dir, path))
	}
	for from, to := range map[string]string{server.KeyFile: "tls/tls.key", server.CertFile: "tls/tls.crt"} {
		must(t, os.MkdirAll(filepath.Join(dir, "tls"), 0o700))
		copyFile(t, from, filepath.Join(dir, to), 0o600)
	}
	file := filepath.Join(dir, "config.yaml")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	addr := kesd.FreeAddr(t)
	args := texts(t, at(t, container, "args"))
	if len(args) != 2 || args[0] != "server" || args[1] != "--config=/config/config.yaml" {
		t.Fatalf("the pod runs kes %q", args)
	}
	cmd := exec.Command(kesd.Bin(t), "server", "--config="+file, "--addr", addr)
	cmd.Env = []string{at(t, container, "env", 0, "name").(string) + "=" + minio.ID}
	process := kesd.Run(t, "kes", cmd)
	serving(t, process)

	// As the kubelet asks: no certificate, and none is checked.
	kubelet := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for _, probe := range []string{"startupProbe", "readinessProbe"} {
		get := at(t, container, probe, "httpGet")
		if at(t, get, "scheme") != "HTTPS" {
			t.Errorf("%s asks in plain text", probe)
		}
		if status := status(t, kubelet, "https://"+addr+at(t, get, "path").(string)); status != http.StatusOK {
			t.Errorf("%s: status %d", probe, status)
		}
	}
	if status := status(t, kubelet, "https://"+addr+"/v1/key/list/"); status == http.StatusOK {
		t.Error("anybody may list keys")
	}
	env := []string{"KES_SERVER=https://" + addr, "KES_CLIENT_CERT=" + minio.CertFile, "KES_CLIENT_KEY=" + minio.KeyFile, "KES_CA=" + server.CertFile}
	run(t, env, kesd.Bin(t), "key", "create", "minio-default")
	if _, err := os.Stat(filepath.Join(dir, "keys/minio-default")); err != nil {
		t.Errorf("the key is not on the volume: %v", err)
	}
}

func status(t testing.TB, client *http.Client, url string) int {
	t.Helper()
	res, err := client.Get(url)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	must(t, err)
	return res.StatusCode
}

// TestTheTenantIsOneThatTheOperatorKnows checks the names in the section `kes`, and that the operator can read the tag of the image.
func TestTheTenantIsOneThatTheOperatorKnows(t *testing.T) {
	all := documents(t, filepath.Join(folder(t), "kubernetes/tenant.yaml"))
	tenant, secret := kind(t, all, "Tenant"), kind(t, all, "Secret")
	kes := at(t, tenant, "spec", "kes").(map[string]any)
	known := map[string]bool{}
	for _, name := range strings.Fields("replicas image imagePullPolicy serviceAccountName annotations labels resources nodeSelector tolerations affinity " +
		"topologySpreadConstraints env kesSecret externalCertSecret clientCertSecret gcpCredentialSecretName gcpWorkloadIdentityPool keyName " +
		"securityContext containerSecurityContext") {
		known[name] = true
	}
	for name := range kes {
		if !known[name] {
			t.Errorf("the operator knows no spec.kes.%s", name)
		}
	}
	if at(t, kes, "kesSecret", "name") != at(t, secret, "metadata", "name") || at(t, tenant, "metadata", "namespace") != at(t, secret, "metadata", "namespace") {
		t.Error("the tenant names another secret")
	}
	// It looks at what stands between the first and the second colon.
	pieces := strings.Split(at(t, kes, "image").(string), ":")
	if len(pieces) < 2 || !regexp.MustCompile(`^(v\d+\.\d+\.\d+|\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)`).MatchString(pieces[1]) {
		t.Errorf("the operator cannot read the version in %q", pieces)
	}
}
