package sdk

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/minio/kms-go/kes"
)

// TestAClientWithoutPolicyGetsNothing calls everything as an identity that no policy names.
func TestAClientWithoutPolicyGetsNothing(t *testing.T) {
	s := start(t, false)
	ctx := background(t)
	ok(t, s.admin.CreateKey(ctx, "app-there"))
	errs := map[string]error{
		"CreateKey": s.stranger.CreateKey(ctx, "app-new"),
		"ImportKey": s.stranger.ImportKey(ctx, "app-new", &kes.ImportKeyRequest{Key: make([]byte, 32), Cipher: kes.AES256}),
		"DeleteKey": s.stranger.DeleteKey(ctx, "app-there"),
	}
	_, errs["APIs"] = s.stranger.APIs(ctx)
	_, errs["AuditLog"] = s.stranger.AuditLog(ctx)
	_, errs["Decrypt"] = s.stranger.Decrypt(ctx, "app-there", make([]byte, 60), nil)
	_, errs["DescribeIdentity"] = s.stranger.DescribeIdentity(ctx, kes.Identity(s.appID.ID))
	_, errs["DescribeKey"] = s.stranger.DescribeKey(ctx, "app-there")
	_, errs["DescribePolicy"] = s.stranger.DescribePolicy(ctx, "app")
	_, errs["Encrypt"] = s.stranger.Encrypt(ctx, "app-there", []byte("m"), nil)
	_, errs["ErrorLog"] = s.stranger.ErrorLog(ctx)
	_, errs["GenerateKey"] = s.stranger.GenerateKey(ctx, "app-there", nil)
	_, errs["GetPolicy"] = s.stranger.GetPolicy(ctx, "app")
	_, errs["HMAC"] = s.stranger.HMAC(ctx, "app-there", []byte("m"))
	_, errs["IsReady"] = s.stranger.IsReady(ctx)
	_, _, errs["ListIdentities"] = s.stranger.ListIdentities(ctx, "", 0)
	_, _, errs["ListKeys"] = s.stranger.ListKeys(ctx, "", 0)
	_, _, errs["ListPolicies"] = s.stranger.ListPolicies(ctx, "", 0)
	_, errs["Metrics"] = s.stranger.Metrics(ctx)
	_, errs["Status"] = s.stranger.Status(ctx)
	for call, err := range errs {
		var got kes.Error
		if !errors.As(err, &got) || got != kes.ErrNotAllowed {
			t.Errorf("%s gives %v, want %v", call, err, kes.ErrNotAllowed)
		}
	}
	if version, err := s.stranger.Version(ctx); err != nil || version == "" {
		t.Errorf("the version is open to all, yet a stranger gets %q, %v", version, err)
	}
	_, _, err := s.stranger.DescribeSelf(ctx)
	is(t, err, kes.ErrIdentityNotFound)
	_, err = s.admin.DescribeKey(ctx, "app-there")
	ok(t, err)
	_, err = s.admin.DescribeKey(ctx, "app-new")
	is(t, err, kes.ErrKeyNotFound)
}

// TestAClientWithoutCertificateIsTurnedAwayAtTheDoor: TLS asks for one, and says so.
func TestAClientWithoutCertificateIsTurnedAwayAtTheDoor(t *testing.T) {
	s := start(t, false)
	_, err := kes.NewClientWithConfig(s.URL, s.TLSWith(tls.Certificate{})).DescribeKey(background(t), "app-there")
	if _, conn := kes.IsConnError(err); !conn || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate gets %v", err)
	}
}
