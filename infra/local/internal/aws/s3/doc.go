// Package s3 is the part of Amazon S3 that a local run of the stack needs: buckets whose objects are written, read in whole
// or in part, listed, deleted, and expire. An AWS SDK, the aws command and boto3 use it as they use the service, through
// [Store.ServeHTTP].
//
// Supported operations: DeleteObject, GetBucketLocation, GetObject, HeadBucket, HeadObject, ListBuckets, ListObjectsV2,
// PutObject. What is not supported, be it an operation, a parameter or a header field of S3's, is refused by name, with the
// service's error for it, and never ignored. Among that are uploads in several parts, copies, versions, tags and
// presigned URLs. Buckets come from the program, by [Store.CreateBucket], and not from requests.
//
// Nothing checks permissions or signatures, and nothing is encrypted: what a request or the bucket says of encryption is
// kept and told, as the service tells it. Every digest that a request brings is verified: Content-MD5,
// X-Amz-Content-Sha256, and a checksum in the header section or behind the body. The ETag is the MD5 of the content, also
// where S3 encrypts with a key of KMS and its ETag is something else.
//
// # What becomes of a write
//
// An object is there in whole or not at all, and at once: an upload that ends too early, or does not match its digest,
// leaves what was there before. With If-None-Match: * one of several writers of a key succeeds, and the others are answered
// with PreconditionFailed. In a file ([Config]) a write is kept when it is answered, and survives the end of the process,
// also a sudden one. It need not survive a loss of power.
package s3
