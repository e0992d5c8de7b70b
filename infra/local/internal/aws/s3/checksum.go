package s3

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"
)

// A checksum is one of an object's content, in one of S3's ways.
type checksum struct {
	Algorithm string // the key in algorithms
	Value     string // in base64
}

// checksumPrefix begins the names of the header fields and trailers that hold checksums.
const checksumPrefix = "X-Amz-Checksum-"

// nvme is the polynomial of NVM Express, reversed as package crc64 wants it.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// algorithms are the ways to make a checksum, by the end of the name of their header field.
var algorithms = map[string]func() hash.Hash{
	"Crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"Crc64nvme": func() hash.Hash { return crc64.New(nvme) },
	"Sha1":      sha1.New,
	"Sha256":    sha256.New,
}

// whatS3Adds is the algorithm of the checksum that an object has whose request brought none.
const whatS3Adds = "Crc64nvme"

// checksumIn reads the checksum of a request, whose fields are in its header section, and behind the body. It is nil if
// there is none.
func checksumIn(header, trailer http.Header) (*checksum, error) {
	var found *checksum
	for _, fields := range []http.Header{header, trailer} {
		for name, values := range fields {
			algorithm, isChecksum := strings.CutPrefix(name, checksumPrefix)
			if !isChecksum || algorithm == "Mode" || algorithm == "Algorithm" {
				continue
			}
			if algorithm == "Type" {
				if values[0] != "FULL_OBJECT" {
					return nil, unsupported("the x-amz-checksum-type %s", values[0])
				}
				continue
			}
			newHash := algorithms[algorithm]
			if newHash == nil {
				return nil, unsupported("the header field %s", strings.ToLower(name))
			}
			if found != nil || len(values) > 1 {
				return nil, refusal(CodeInvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
			}
			if sum, err := base64.StdEncoding.DecodeString(values[0]); err != nil || len(sum) != newHash().Size() {
				return nil, refusal(CodeInvalidRequest, "Value for %s header is invalid.", strings.ToLower(name))
			}
			found = &checksum{Algorithm: algorithm, Value: values[0]}
		}
	}
	return found, nil
}

func checksumOf(algorithm string, content []byte) *checksum {
	sum := algorithms[algorithm]()
	_, _ = sum.Write(content) // which never fails
	return &checksum{Algorithm: algorithm, Value: base64.StdEncoding.EncodeToString(sum.Sum(nil))}
}

// verify checks that the checksum is the content's.
func (c *checksum) verify(content []byte) error {
	if checksumOf(c.Algorithm, content).Value != c.Value {
		return refusal(CodeBadDigest, "The %s you specified did not match the calculated checksum.", strings.ToUpper(c.Algorithm))
	}
	return nil
}

// tell sets the header fields by which answers tell a checksum.
func (c *checksum) tell(header http.Header) {
	header.Set(checksumPrefix+c.Algorithm, c.Value)
	header.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
}
