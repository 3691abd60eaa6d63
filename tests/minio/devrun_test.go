package minio

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kes/tests/kesd"
)

const (
	devRun    = "../../scripts/dev-run"
	lastBlock = "the server"
)

// devServer is a running scripts/dev-run.
type devServer struct {
	*kesd.Process
	env []string
}

func startDevRun(t *testing.T, env []string) *devServer {
	t.Helper()
	s := &devServer{env: env}
	cmd := exec.Command(devRun)
	cmd.Env = env
	s.Process = kesd.Run(t, "dev-run", cmd)
	s.Await(t, readyLimit, func() error {
		_, err := s.block(lastBlock)
		return err
	})
	return s
}

// block is the text that dev-run prints below the heading which starts with `title`, up to the next heading.
func (s *devServer) block(title string) (string, error) {
	_, rest, found := strings.Cut(s.Output(), "# ---- "+title)
	if !found {
		return "", os.ErrNotExist
	}
	_, rest, _ = strings.Cut(rest, "\n")
	text, _, _ := strings.Cut(rest, "# ---- ")
	return text, nil
}

// paste gives a block to a shell, as a user would, and returns what it prints. `change` may edit the text first.
func (s *devServer) paste(t *testing.T, title string, change ...string) string {
	t.Helper()
	text, err := s.block(title)
	if err != nil {
		t.Fatalf("no block %q in\n%s", title, s.Output())
	}
	cmd := exec.CommandContext(limited(t), "bash", "-euc", strings.NewReplacer(change...).Replace(text))
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s\n%s", err, text, out)
	}
	return string(out)
}

// TestDevRunPrintsWhatWorks starts the development server of `make run` and pastes all that it prints. At the end there
// is an encrypted object in a real MinIO.
func TestDevRunPrintsWhatWorks(t *testing.T) {
	minioTool, mcTool := kesd.Tool(t, "minio"), kesd.Tool(t, "mc")
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("KES_REQUIRE_TOOLS") != "" {
			t.Fatal("no curl")
		}
		t.Skip("skipped: no curl")
	}
	home := filepath.Join(t.TempDir(), "a folder of $5")
	must(t, os.Mkdir(home, 0o700))
	addr := kesd.FreeAddr(t)
	env := append(kesd.Environ(),
		"HOME="+home, "MC_CONFIG_DIR="+filepath.Join(home, ".mc"), "MINIO_BROWSER=off", "MINIO_CI_CD=1",
		"PATH="+filepath.Dir(minioTool)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"KES_BIN="+kesd.Bin(t), "KES_DEV_DIR="+filepath.Join(home, "dev"), "KES_ADDR="+addr)
	s := startDevRun(t, env)
	if !strings.Contains(s.Output(), "made in ") {
		t.Errorf("the first run does not say what it made:\n%s", s.Output())
	}

	// The server comes up after the text; `kes` itself tries again when the connection is refused, and so do we.
	s.Await(t, readyLimit, func() error {
		text, err := s.block("kes")
		if err != nil {
			return err
		}
		cmd := exec.Command("bash", "-euc", strings.Replace(text, "key create my-key", "key ls", 1))
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	s.paste(t, "kes")

	for _, version := range []string{"1.1", "2"} {
		out := s.paste(t, "curl", "curl ", "curl -sSf -w '\\n%{http_version}' --http"+version+" ")
		body, used, _ := strings.Cut(out, "\n")
		var dek struct{ Plaintext, Ciphertext string }
		must(t, json.Unmarshal([]byte(body), &dek))
		if plain, err := base64.StdEncoding.DecodeString(dek.Plaintext); err != nil || len(plain) != 32 || dek.Ciphertext == "" {
			t.Errorf("curl over HTTP/%s prints no data key: %s", version, body)
		}
		if strings.TrimSpace(used) != version {
			t.Errorf("curl was asked for HTTP/%s, and used %s", version, used)
		}
	}

	storage := kesd.FreeAddr(t)
	text, err := s.block("MinIO")
	must(t, err)
	// The last line runs MinIO in the foreground: `exec`, so that it is the process that is ended.
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "127.0.0.1:9000", storage)), "\n")
	lines[len(lines)-1] = "exec " + lines[len(lines)-1]
	cmd := exec.Command("bash", "-euc", strings.Join(lines, "\n"))
	cmd.Env = env
	c := &cluster{addr: storage, minio: kesd.Run(t, "minio", cmd)}
	c.s3 = c.client(t, "minioadmin", "minioadmin")
	if !c.awaitMinIO(t) {
		t.Fatal("MinIO does not start with the environment that was printed")
	}
	out := s.paste(t, "an encrypted bucket", "127.0.0.1:9000", storage)
	if !strings.Contains(out, "SSE-KMS") || !strings.Contains(out, "minio-my-bucket") {
		t.Errorf("mc does not say that the object is encrypted (%s):\n%s", mcTool, out)
	}

	// Again: the same certificates, the same keys.
	s.Stop()
	again := startDevRun(t, env)
	if strings.Contains(again.Output(), "made in ") || !strings.Contains(again.Output(), "kept in ") {
		t.Errorf("the second run does not say that it keeps everything:\n%s", again.Output())
	}
	again.Await(t, readyLimit, func() error {
		cmd := exec.Command(mcTool, "cat", "kes-dev/my-bucket/hello")
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err == nil && string(out) != "hello\n" {
			t.Errorf("the object reads %q", out)
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}
