package deployment_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// code unpacks the code of a function and gives its directory. moto serves no code under the address that GetFunction gives,
// so it is taken from the bucket of the bootstrap, by what Lambda says of it.
func (a *account) code(t *testing.T, c *lambdatypes.FunctionConfiguration) string {
	t.Helper()
	if directory, done := a.unpacked[*c.CodeSha256]; done {
		return directory
	}
	client := a.s3()
	bucket := "cdk-hnb659fds-assets-" + accountID + "-" + region
	objects, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects.Contents {
		if !strings.HasSuffix(*object.Key, ".zip") || *object.Size != c.CodeSize {
			continue
		}
		answer, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: object.Key})
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(packed); base64.StdEncoding.EncodeToString(sum[:]) == *c.CodeSha256 {
			a.unpacked[*c.CodeSha256] = unpacked(t, packed)
			return a.unpacked[*c.CodeSha256]
		}
	}
	t.Fatalf("no object in %s is the code of %s", bucket, *c.FunctionName)
	return ""
}

func unpacked(t *testing.T, packed []byte) string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.CopyFS(directory, archive); err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.File { // fs.FS has the modes of files, and os.CopyFS keeps no more than rwx of some
		if !file.FileInfo().IsDir() {
			if err := os.Chmod(filepath.Join(directory, file.Name), file.Mode().Perm()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return directory
}

// machines are what ELF calls the architectures of Lambda.
var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}

// checkCode looks at what Lambda would start.
func checkCode(t *testing.T, functions []cloudformation.Function) {
	t.Helper()
	for _, f := range functions {
		file := filepath.Join(f.Code, "bootstrap")
		program, err := elf.Open(file)
		if err != nil {
			t.Errorf("the code of %s: %v", f.Name, err)
			continue
		}
		if program.Machine != machines[f.Architecture] {
			t.Errorf("the code of %s is for %v; the function is for %s", f.Name, program.Machine, f.Architecture)
		}
		program.Close()
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o111 != 0o111 {
			t.Errorf("the code of %s cannot be run by everybody: %v, %v", f.Name, info.Mode(), err)
		}
	}
}
