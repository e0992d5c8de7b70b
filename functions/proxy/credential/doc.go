// Package credential gives the credential that the proxies authenticate to the upstream with, and puts it into requests.
//
// Secrets are read from AWS Secrets Manager when they are first needed, are kept in memory for a time, and then read
// again, so that they are rotated without a deployment. No error of this package holds anything of a secret.
package credential
