package asl

import "fmt"

// Names of errors that states report, as the language and the service define them.
const (
	// All stands for every error in an ErrorEquals, except DataLimitExceeded and Runtime.
	All = "States.ALL"

	// TaskFailed stands for every error of a task in an ErrorEquals, except Timeout.
	TaskFailed = "States.TaskFailed"

	// Timeout means that a task ran longer than its TimeoutSeconds, or an execution longer than its machine's.
	Timeout = "States.Timeout"

	// Runtime means that a state could not be processed, as when there is no value where a path leads. No Retry and no
	// Catch sees it.
	Runtime = "States.Runtime"

	// DataLimitExceeded means that a payload was larger than MaxPayload. As AWS documents it, States.ALL does not stand
	// for it. (The service has been seen to match it all the same; a definition that names it is right either way.)
	DataLimitExceeded = "States.DataLimitExceeded"

	// NoChoiceMatched means that no choice matched and that there was no Default.
	NoChoiceMatched = "States.NoChoiceMatched"

	// ResultPathMatchFailure means that ResultPath has no place in the state's input.
	ResultPathMatchFailure = "States.ResultPathMatchFailure"

	// IntrinsicFailure means that an intrinsic function could not do its work.
	IntrinsicFailure = "States.IntrinsicFailure"
)

// A Failure is an error that a state reports: a name that Retry and Catch are matched against, and a cause for people.
type Failure struct {
	Name  string
	Cause string
}

func (f *Failure) Error() string {
	if f.Cause == "" {
		return f.Name
	}
	return f.Name + ": " + f.Cause
}

// output is what a Catch hands on.
func (f *Failure) output() any {
	return map[string]any{"Error": f.Name, "Cause": f.Cause}
}

func failure(name, format string, args ...any) *Failure {
	return &Failure{Name: name, Cause: fmt.Sprintf(format, args...)}
}

// matches says whether an ErrorEquals list stands for an error.
func matches(errorEquals []string, name string) bool {
	if name == Runtime {
		return false
	}
	for _, e := range errorEquals {
		switch e {
		case name:
			return true
		case All:
			if name != DataLimitExceeded {
				return true
			}
		case TaskFailed:
			if name != Timeout && name != DataLimitExceeded {
				return true
			}
		}
	}
	return false
}
