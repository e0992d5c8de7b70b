package s3

import (
	"fmt"
	"net/http"
	"strconv"
)

// An Encryption says how an object is encrypted. Here none is.
type Encryption struct {
	// Algorithm is AES256, aws:kms or aws:kms:dsse. Empty stands for AES256.
	Algorithm string

	// KeyID is the ARN or the id of the key of KMS. Empty stands for the one that is S3's own.
	KeyID string `json:",omitempty"`

	// BucketKey says whether a key of the bucket's spares requests to KMS.
	BucketKey bool `json:",omitempty"`
}

const (
	sseField          = "X-Amz-Server-Side-Encryption"
	sseKeyField       = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
	sseBucketKeyField = "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"

	aes256 = "AES256"
)

func (e Encryption) usesKMS() bool { return e.Algorithm == "aws:kms" || e.Algorithm == "aws:kms:dsse" }

func (e Encryption) validate(bucket string) error {
	switch {
	case e.Algorithm != "" && e.Algorithm != aes256 && !e.usesKMS():
		return fmt.Errorf("the bucket %q is encrypted by %q; give AES256, aws:kms or aws:kms:dsse", bucket, e.Algorithm)
	case !e.usesKMS() && e.KeyID != "":
		return fmt.Errorf("the bucket %q has a key of KMS, and is encrypted by AES256", bucket)
	}
	return nil
}

// encryptionOf is the encryption that a request asks for, or the bucket's.
func (b *bucket) encryptionOf(header http.Header) (Encryption, error) {
	asked := Encryption{Algorithm: header.Get(sseField), KeyID: header.Get(sseKeyField)}
	if text := header.Get(sseBucketKeyField); text != "" {
		enabled, err := strconv.ParseBool(text)
		if err != nil {
			return Encryption{}, refusal(CodeInvalidArgument, "The value specified in the header %s is invalid.", sseBucketKeyField)
		}
		asked.BucketKey = enabled
	} else {
		asked.BucketKey = b.Encryption.BucketKey
	}
	switch {
	case asked.Algorithm == "" && asked.KeyID != "":
		return Encryption{}, refusal(CodeInvalidArgument, "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	case asked.Algorithm == "":
		asked.Algorithm, asked.KeyID = b.Encryption.Algorithm, b.Encryption.KeyID
		if asked.Algorithm == "" {
			asked.Algorithm = aes256
		}
	case asked.Algorithm != aes256 && !asked.usesKMS():
		return Encryption{}, refusal(CodeInvalidArgument, "The encryption method specified is not supported").
			with("ArgumentName", "x-amz-server-side-encryption").with("ArgumentValue", asked.Algorithm)
	case asked.Algorithm == aes256 && asked.KeyID != "":
		return Encryption{}, refusal(CodeInvalidArgument, "The request has a key of KMS, and the encryption AES256, which takes none")
	}
	if !asked.usesKMS() {
		asked.BucketKey = false
	}
	return asked, nil
}

// tell sets the header fields by which answers say how an object is encrypted.
func (e Encryption) tell(header http.Header) {
	header.Set(sseField, e.Algorithm)
	if e.KeyID != "" {
		header.Set(sseKeyField, e.KeyID)
	}
	if e.BucketKey {
		header.Set(sseBucketKeyField, "true")
	}
}
