package gofunction

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/gofunction/gobuild"
)

// ImportPathMetadata is the key of the resource metadata in the template that says which main package a function was
// compiled from. Tools that run a synthesised stack elsewhere find the program by it.
const ImportPathMetadata = gobuild.ImportPathMetadata

// NewFunction creates a Lambda function whose handler is the main package with the given import path.
//
// Props may say anything that [awslambda.NewFunction] takes, except Code, Runtime and Handler, which are set here. The
// architecture is arm64 unless the props say otherwise. The props are not changed. It panics, as every construct does,
// if the props name what is set here or if the handler does not compile.
func NewFunction(scope constructs.Construct, id *string, importPath string, props *awslambda.FunctionProps) awslambda.Function {
	own := awslambda.FunctionProps{}
	if props != nil {
		own = *props
	}
	if own.Code != nil || own.Runtime != nil || own.Handler != nil {
		panic(fmt.Sprintf("gofunction: function %q: Code, Runtime and Handler are set by gofunction; leave them out of the props", *id))
	}
	if own.Architecture == nil {
		own.Architecture = awslambda.Architecture_ARM_64()
	}
	own.Code = NewCode(scope, importPath, own.Architecture)
	own.Runtime = awslambda.Runtime_PROVIDED_AL2023()
	own.Handler = jsii.String(gobuild.Bootstrap)

	function := awslambda.NewFunction(scope, id, &own)
	resource := function.Node().DefaultChild().(awscdk.CfnResource)
	resource.AddMetadata(jsii.String(ImportPathMetadata), importPath)
	return function
}

// NewCode compiles the main package with the given import path and returns it as the code of a function, for those who
// create the function themselves: with the runtime provided.al2023, the handler bootstrap, and the same architecture.
// It panics if the handler does not compile. The scope says which stack the code is for, and so whether it is needed.
func NewCode(scope constructs.Construct, importPath string, architecture awslambda.Architecture) awslambda.Code {
	if !*awscdk.Stack_Of(scope).BundlingRequired() {
		return notCompiled(importPath)
	}
	goarch := gobuild.ARM64
	if *architecture.Name() == *awslambda.Architecture_X86_64().Name() {
		goarch = gobuild.X8664
	}
	dir, err := gobuild.ForLambda(context.Background(), importPath, goarch)
	if err != nil {
		panic(err.Error())
	}
	return awslambda.Code_FromAsset(jsii.String(dir), nil)
}

// notCompiled stands for code in a stack whose assets are not needed. Its hash says so and depends on the import path
// alone.
func notCompiled(importPath string) awslambda.Code {
	dir := filepath.Join(os.TempDir(), gobuild.CacheFolder+"-not-compiled")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		panic(fmt.Sprintf("gofunction: %v", err))
	}
	sum := sha256.Sum256([]byte("not compiled: " + importPath))
	return awslambda.Code_FromAsset(jsii.String(dir), &awss3assets.AssetOptions{
		AssetHashType: awscdk.AssetHashType_CUSTOM,
		AssetHash:     jsii.String(hex.EncodeToString(sum[:])),
	})
}
