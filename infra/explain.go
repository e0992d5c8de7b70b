package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// explain prints how much time and money the retry policy of the stack can take.
func explain(app awscdk.App) {
	props, _, err := propsFrom(app.Node())
	if err != nil {
		panic(fmt.Sprintf("the stack cannot be built with this context:\n%v", err))
	}
	fmt.Print(props.Explain())
}
