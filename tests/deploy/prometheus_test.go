package deploy

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kes/tests/kesd"
)

// TestPrometheusTakesTheFiles has promtool read them, and try each alert.
func TestPrometheusTakesTheFiles(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getuid() != 0 {
			t.Skip("skipped: no promtool, and only root can install it")
		}
		kesd.Missing(t, "promtool", "run tests/tools/install prometheus")
	}
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yaml", "rules.yaml", "alerts_test.yaml"} {
		copyFile(t, filepath.Join(folder(t), "prometheus", name), filepath.Join(dir, name), 0o600)
	}
	for _, name := range []string{"prometheus.crt", "prometheus.key", "kes.crt"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	run(t, os.Environ(), "promtool", "check", "config", filepath.Join(dir, "prometheus.yaml"))
	run(t, os.Environ(), "promtool", "test", "rules", filepath.Join(dir, "alerts_test.yaml"))
}

// TestAlertsAreAboutMetricsThatThereAre looks for each name of the rules on the page of a server.
func TestAlertsAreAboutMetricsThatThereAre(t *testing.T) {
	server := kesd.Start(t, kesd.Config{})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: server.TLS(t, server.Admin)}}
	// What has never happened is not on the page: one refused request, and one that failed (a body that was lost).
	for path, body := range map[string]io.Reader{"describe/none": nil, "generate/none": struct{ io.Reader }{strings.NewReader("")}} {
		method := http.MethodGet
		if body != nil {
			method = http.MethodPut
		}
		req, err := http.NewRequest(method, server.URL+"/v1/key/"+path, body)
		must(t, err)
		res, err := client.Do(req)
		must(t, err)
		must(t, res.Body.Close())
	}
	res, err := client.Get(server.URL + "/v1/metrics")
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	must(t, err)
	rules := string(readFile(t, filepath.Join(folder(t), "prometheus/rules.yaml")))
	names := regexp.MustCompile(`\bkes_[a-z_]+`).FindAllString(rules, -1)
	if len(names) < 5 {
		t.Fatalf("only %q are used", names)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "# TYPE "+strings.TrimSuffix(name, "_bucket")+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
}
