// Package s3 is the part of Amazon S3 that a local run of the stack needs: buckets whose objects are written, read in whole
// or in part, listed, deleted, and expire. An AWS SDK, the aws command and boto3 use it as they use the service, through
// [Store.ServeHTTP], with the bucket at the beginning of the path (UsePathStyle).
//
// Supported operations: DeleteObject, GetBucketLocation, GetObject, HeadBucket, HeadObject, ListBuckets, ListObjectsV2,
// PutObject. What is not supported, be it an operation, a parameter or a header field of S3's, is refused by name, and never
// ignored. Among that are uploads in several parts, copies, versions, tags, keys of KMS and presigned URLs. Buckets come from
// the program, by [Store.CreateBucket], and not from requests.
//
// Nothing checks permissions or signatures, and nothing is encrypted.
//
// # What is whose
//
// The API is github.com/rclone/gofakes3: the routes, the documents, errors, conditions, ranges, and checksums in the
// header section. This package is its backend, which keeps objects in a file and has them expire, and stands before it,
// to refuse what it would ignore, and to verify what it does not: X-Amz-Content-Sha256, and the checksum behind a body
// of the encoding aws-chunked. Where nothing is listed, gofakes3 leaves out the KeyCount, which S3 says is 0.
// github.com/johannesboyne/gofakes3, from which that was forked, will not do: v1.2.0 verifies no x-amz-checksum, so that it
// answers 200 to content that broke on its way, and it keeps a body with a checksum behind it as it came, chunks and
// all.
//
// # What becomes of a write
//
// An object is there in whole or not at all, and at once: an upload that ends too early, or does not match its digest,
// leaves what was there before. With If-None-Match: * one of several writers of a key succeeds, and the others are answered
// with PreconditionFailed. In a file ([Config]) a write is kept when it is answered, and survives the end of the process,
// also a sudden one. It need not survive a loss of power.
package s3
