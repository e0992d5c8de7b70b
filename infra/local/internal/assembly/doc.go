// Package assembly makes the cloud assembly that is run on this machine: it runs the CDK app with the context of
// cdk.json, as the CDK CLI would, and sees to it that there is a binary of every handler that this machine can run.
package assembly
