// Package gofunction turns a Go program into the code of a Lambda function on the provided.al2023 runtime.
//
// A handler is named by the import path of its main package. It is compiled at synthesis, with the go command and
// without Docker, into the user's cache directory; the asset is then a function of the binary alone. So a handler may
// live in this module, in the module of the CDK app, or in any module that the app's go.mod requires.
//
//	gofunction.NewFunction(stack, jsii.String("Handler"), "example.com/orders/handler", &awslambda.FunctionProps{
//		MemorySize: jsii.Number(256),
//	})
//
// The compiler itself is package gobuild, which does without the CDK.
//
// Nothing is compiled when the stack does not need its assets, as for cdk list and cdk destroy.
package gofunction
