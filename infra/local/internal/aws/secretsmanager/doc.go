// Package secretsmanager is the part of AWS Secrets Manager that a local run of the stack needs: reading secrets, finding
// them, and giving them new values. An AWS SDK, the aws command and boto3 use it as they use the service, through
// [Store.ServeHTTP]; a program in the same process can call [Store.Call].
//
// Supported operations: DescribeSecret, GetSecretValue, ListSecrets, PutSecretValue. What is not supported is refused by
// name, with the service's error for it, and never ignored. Secrets come from the program, by [Store.Create] and
// [Store.Provide]; none is deleted, replicated or rotated by an operation. Nothing checks permissions or signatures, and
// nothing is encrypted. Changes are seen at once.
//
// No error holds anything of a secret's value.
//
// # Which secret an id means
//
// A name means the secret of that name, and a complete ARN, with the hyphen and six characters at its end, the secret
// that has it. An ARN without them is a partial one: it means the secret of the name in it, whatever account and region
// it says, since here is but one of each. As in AWS, a partial ARN whose name ends in a hyphen and six letters or digits
// is taken for a complete one, and finds nothing.
package secretsmanager
