package s3_test

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

func FuzzABodyInChunksIsWholeAndRightOrChangesNothing(f *testing.F) {
	for _, seed := range []string{
		"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "2\r\nhe\r\n3;chunk-signature=a\r\nllo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n",
		"5\r\nhellO\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "ffffffffffffffff\r\n", "0\r\n\r\n", "", "\r\n", "5\nhello", "5\r\nhello",
	} {
		f.Add([]byte(seed), 5)
	}
	store := newStore(f, s3.Config{})
	send := func(method, body string, fields ...string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(method, "/bodies/k", strings.NewReader(body))
		request.Header.Set("Content-Length", strconv.Itoa(len(body)))
		for i := 0; i < len(fields); i += 2 {
			request.Header.Set(fields[i], fields[i+1])
		}
		answer := httptest.NewRecorder()
		store.ServeHTTP(answer, request)
		return answer
	}
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		if put := send("PUT", "old"); put.Code != http.StatusOK {
			t.Fatalf("%d %s", put.Code, put.Body)
		}
		put := send("PUT", string(body), "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding", "aws-chunked",
			"X-Amz-Decoded-Content-Length", strconv.Itoa(size), "X-Amz-Trailer", "x-amz-checksum-crc32")
		got := send("GET", "").Body.String()
		if put.Code != http.StatusOK {
			if put.Code > 499 || got != "old" {
				t.Errorf("the answer is %d %s, and the object %q; want the old one", put.Code, put.Body, got)
			}
			return
		}
		sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(got))))
		if len(got) != size || !strings.Contains(string(body), sum) {
			t.Errorf("the object %q has %d bytes, want %d, and a checksum that the request has", got, len(got), size)
		}
	})
}
