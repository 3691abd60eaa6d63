package minio

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kes/tests/kesd"
)

const migrating = "../../docs/migrating.md"

// blocks are the commands of docs/migrating.md, by the name that stands above each: `<!-- run: NAME -->`.
func blocks(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(migrating)
	must(t, err)
	found := map[string]string{}
	marked := regexp.MustCompile("<!-- run: ([a-z-]+) -->\n```sh\n((?s:.*?))```")
	for _, match := range marked.FindAllStringSubmatch(string(text), -1) {
		if _, twice := found[match[1]]; twice {
			t.Fatalf("%s: two blocks are called %s", migrating, match[1])
		}
		found[match[1]] = match[2]
	}
	if fences := strings.Count(string(text), "```") / 2; fences != len(found) {
		t.Fatalf("%s: %d blocks, of which %d have a name: a command that no test runs", migrating, fences, len(found))
	}
	return found
}

// desk is a folder where somebody types what docs/migrating.md says.
type desk struct {
	dir string
	env []string
	ran []string
}

// newDesk is a desk with `kes` and `mc` on the path, and nothing else.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir()}
	bin := filepath.Join(d.dir, "bin")
	must(t, os.Mkdir(bin, 0o700))
	for name, path := range map[string]string{"kes": kesd.Bin(t), "mc": kesd.Tool(t, "mc")} {
		must(t, os.Symlink(path, filepath.Join(bin, name)))
	}
	d.env = append(kesd.Environ(), "HOME="+d.dir, "MC_CONFIG_DIR="+filepath.Join(d.dir, ".mc"),
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return d
}

// as makes the desk that of the administrator of a server.
func (d *desk) as(admin kesd.Identity, url, ca string) {
	d.env = append(d.env, "KES_SERVER="+url, "KES_CA="+ca, "KES_CLIENT_KEY="+admin.KeyFile, "KES_CLIENT_CERT="+admin.CertFile)
}

// command is the block `name` as a command; `more` is run behind it in the same shell.
func (d *desk) command(t *testing.T, name, more string) *exec.Cmd {
	t.Helper()
	text, found := blocks(t)[name]
	if !found {
		t.Fatalf("%s has no block %s", migrating, name)
	}
	d.ran = append(d.ran, name)
	cmd := exec.CommandContext(limited(t), "bash", "-euo", "pipefail", "-c", text+more)
	cmd.Dir, cmd.Env = d.dir, d.env
	return cmd
}

// types runs the block `name`, which must succeed, and returns what it prints.
func (d *desk) types(t *testing.T, name string) string {
	t.Helper()
	out, err := d.command(t, name, "").CombinedOutput()
	if err != nil {
		t.Fatalf("%s, %s: %v\n%s", migrating, name, err, out)
	}
	return string(out)
}

// must say all of `want`.
func says(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, words := range want {
		if !strings.Contains(text, words) {
			t.Errorf("no %q in\n%s", words, text)
		}
	}
}

// TestEveryCommandOfMigratingIsRun holds the list of blocks that the tests in migrate_test.go run equal to the page.
func TestEveryCommandOfMigratingIsRun(t *testing.T) {
	var there []string
	for name := range blocks(t) {
		there = append(there, name)
	}
	sources, err := filepath.Glob("migrate_*test.go")
	must(t, err)
	var run []string
	use := regexp.MustCompile(`\.(?:types|command)\(t, "([a-z-]+)"`)
	for _, path := range sources {
		text, err := os.ReadFile(path)
		must(t, err)
		for _, match := range use.FindAllStringSubmatch(string(text), -1) {
			run = append(run, match[1])
		}
	}
	slices.Sort(there)
	slices.Sort(run)
	if run = slices.Compact(run); !slices.Equal(there, run) {
		t.Errorf("%s has the blocks\n%q, the tests run\n%q", migrating, there, run)
	}
}
