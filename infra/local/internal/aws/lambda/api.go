package lambda

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"strconv"
)

// Headers of the Invoke operation.
const (
	headerInvocationType  = "X-Amz-Invocation-Type"
	headerLogType         = "X-Amz-Log-Type"
	headerClientContext   = "X-Amz-Client-Context"
	headerFunctionError   = "X-Amz-Function-Error"
	headerLogResult       = "X-Amz-Log-Result"
	headerExecutedVersion = "X-Amz-Executed-Version"
	headerRequestID       = "X-Amzn-Requestid"
	headerErrorType       = "X-Amzn-Errortype"
	headerTraceID         = "X-Amzn-Trace-Id"
)

// maxListItems is the page size of ListFunctions.
const maxListItems = 50

// ServeHTTP answers the Lambda API, version 2015-03-31: Invoke (RequestResponse, Event and DryRun), ListFunctions,
// GetFunction, GetFunctionConfiguration and GetAccountSettings. Other operations are refused by name. Credentials and signatures are not
// looked at.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.api.ServeHTTP(w, r) }

func newAPI(h *Host) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", h.serveInvoke)
	mux.HandleFunc("GET /2015-03-31/functions", h.serveList)
	mux.HandleFunc("GET /2015-03-31/functions/{$}", h.serveList)
	mux.HandleFunc("GET /2015-03-31/functions/{name}", h.serveGet)
	mux.HandleFunc("GET /2015-03-31/functions/{name}/configuration", h.serveGetConfiguration)
	mux.HandleFunc("GET /2016-08-19/account-settings", h.serveAccountSettings)
	mux.HandleFunc("GET /2016-08-19/account-settings/{$}", h.serveAccountSettings)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.writeError(w, &Error{
			Code: "UnknownOperationException", StatusCode: http.StatusNotFound,
			Message: fmt.Sprintf("%s %s is not offered here: Invoke, ListFunctions, GetFunction and GetFunctionConfiguration are", r.Method, r.URL.Path),
		})
	})
	return mux
}

// requestedName returns the function's name from path and query.
func requestedName(r *http.Request) (string, error) {
	name, qualifier := r.PathValue("name"), r.URL.Query().Get("Qualifier")
	if qualifier == "" {
		return name, nil
	}
	if !aliasName.MatchString(qualifier) && !versionName.MatchString(qualifier) {
		return "", invalidParameter("%q is not a qualifier: a version or an alias is expected", qualifier)
	}
	return qualify(name, qualifier)
}

func (h *Host) serveInvoke(w http.ResponseWriter, r *http.Request) {
	name, err := requestedName(r)
	if err != nil {
		h.writeError(w, err)
		return
	}
	request := Request{Function: name, TraceID: r.Header.Get(headerTraceID)}
	if encoded := r.Header.Get(headerClientContext); encoded != "" {
		if request.ClientContext, err = base64.StdEncoding.DecodeString(encoded); err != nil || !json.Valid(request.ClientContext) {
			h.writeError(w, invalidParameter("%s is not JSON in base64", headerClientContext))
			return
		}
	}
	request.Payload, err = io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestPayload))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			err = requestTooLarge(MaxRequestPayload)
		} else {
			err = invalidContent(err.Error())
		}
		h.writeError(w, err)
		return
	}
	switch invocationType := r.Header.Get(headerInvocationType); invocationType {
	case "", "RequestResponse":
		result, err := h.InvokeRequest(r.Context(), request)
		if err != nil {
			h.writeError(w, err)
			return
		}
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", strconv.Itoa(len(result.Payload)))
		header.Set(headerRequestID, result.RequestID)
		header.Set(headerTraceID, result.TraceID)
		header.Set(headerExecutedVersion, result.ExecutedVersion)
		if result.FunctionError != "" {
			header.Set(headerFunctionError, result.FunctionError)
		}
		if r.Header.Get(headerLogType) == "Tail" {
			header.Set(headerLogResult, base64.StdEncoding.EncodeToString(result.LogTail))
		}
		w.Write(result.Payload)
	case "Event":
		result, err := h.invokeEvent(request)
		if err != nil {
			h.writeError(w, err)
			return
		}
		w.Header().Set(headerRequestID, result.RequestID)
		w.Header().Set(headerTraceID, result.TraceID)
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		_, inv, err := h.prepare(request, MaxRequestPayload)
		if err != nil {
			h.writeError(w, err)
			return
		}
		w.Header().Set(headerRequestID, inv.id)
		w.WriteHeader(http.StatusNoContent)
	default:
		h.writeError(w, invalidParameter("%s is %q: RequestResponse, Event and DryRun are allowed", headerInvocationType, invocationType))
	}
}

// functionConfiguration is the FunctionConfiguration of the API.
type functionConfiguration struct {
	FunctionName  string
	FunctionArn   string
	Runtime       string
	Handler       string
	CodeSize      int64
	CodeSha256    string
	Timeout       int
	MemorySize    int
	LastModified  string
	Version       string
	Environment   *functionVariables `json:",omitempty"`
	TracingConfig struct{ Mode string }
	State         string
	PackageType   string
	Architectures []string
	LoggingConfig loggingConfig

	LastUpdateStatus string
	EphemeralStorage struct{ Size int }
}

type functionVariables struct{ Variables map[string]string }

type loggingConfig struct {
	LogFormat           string
	LogGroup            string
	ApplicationLogLevel string `json:",omitempty"`
}

func (fn *function) configuration(version, arn string) (functionConfiguration, error) {
	c := functionConfiguration{
		FunctionName:     fn.Name,
		FunctionArn:      arn,
		Runtime:          "provided.al2023",
		Handler:          fn.Handler,
		Timeout:          int(math.Ceil(fn.Timeout.Seconds())),
		MemorySize:       fn.MemorySize,
		Version:          version,
		State:            "Active",
		PackageType:      "Zip",
		Architectures:    []string{"x86_64"},
		LoggingConfig:    loggingConfig{LogFormat: fn.LogFormat, LogGroup: fn.LogGroup},
		LastUpdateStatus: "Successful",
	}
	if runtime.GOARCH == "arm64" {
		c.Architectures = []string{"arm64"}
	}
	c.EphemeralStorage.Size = 512
	c.TracingConfig.Mode = "PassThrough"
	if fn.TracingActive {
		c.TracingConfig.Mode = "Active"
	}
	if fn.LogFormat == LogFormatJSON {
		c.LoggingConfig.ApplicationLogLevel = fn.LogLevel
	}
	if len(fn.Env) > 0 {
		c.Environment = &functionVariables{Variables: fn.Env}
	}
	file, err := os.Open(fn.Path)
	if err != nil {
		return c, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return c, err
	}
	hash := sha256.New()
	if c.CodeSize, err = io.Copy(hash, file); err != nil {
		return c, err
	}
	c.CodeSha256 = base64.StdEncoding.EncodeToString(hash.Sum(nil))
	c.LastModified = info.ModTime().UTC().Format("2006-01-02T15:04:05.000-0700")
	return c, nil
}

func (h *Host) serveList(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit := maxListItems
	if given := query.Get("MaxItems"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			h.writeError(w, invalidParameter("MaxItems is %q: 1 or more is allowed", given))
			return
		}
		limit = min(n, maxListItems)
	}
	if given := query.Get("FunctionVersion"); given != "" && given != "ALL" {
		h.writeError(w, invalidParameter("FunctionVersion is %q: ALL is allowed", given))
		return
	}
	type item struct {
		fn           *function
		version, arn string
	}
	var items []item
	for _, fn := range h.sorted() {
		items = append(items, item{fn, LatestVersion, fn.ARN})
		if query.Get("FunctionVersion") == "ALL" {
			items[len(items)-1].arn += ":" + LatestVersion
			for _, version := range fn.publishedVersions() {
				items = append(items, item{fn, version, fn.ARN + ":" + version})
			}
		}
	}
	start := 0
	if marker := query.Get("Marker"); marker != "" {
		// The marker is the place to go on from; functions are never removed.
		n, err := strconv.Atoi(marker)
		if err != nil || n < 0 || n > len(items) {
			h.writeError(w, invalidParameter("Marker is %q, which no answer of ListFunctions contained", marker))
			return
		}
		start = n
	}
	answer := struct {
		Functions  []functionConfiguration
		NextMarker string `json:",omitempty"`
	}{Functions: []functionConfiguration{}}
	end := min(start+limit, len(items))
	for _, item := range items[start:end] {
		c, err := item.fn.configuration(item.version, item.arn)
		if err != nil {
			h.writeError(w, err)
			return
		}
		answer.Functions = append(answer.Functions, c)
	}
	if end < len(items) {
		answer.NextMarker = strconv.Itoa(end)
	}
	h.writeJSON(w, answer)
}

// describe returns the configuration that a Get request asks for.
func (h *Host) describe(w http.ResponseWriter, r *http.Request) (*function, functionConfiguration, bool) {
	name, err := requestedName(r)
	if err != nil {
		h.writeError(w, err)
		return nil, functionConfiguration{}, false
	}
	fn, qualifier, err := h.find(name)
	if err != nil {
		h.writeError(w, err)
		return nil, functionConfiguration{}, false
	}
	version, _ := fn.version(qualifier)
	arn := fn.ARN
	if qualifier != "" {
		arn += ":" + qualifier
	}
	c, err := fn.configuration(version, arn)
	if err != nil {
		h.writeError(w, err)
		return nil, c, false
	}
	return fn, c, true
}

func (h *Host) serveGetConfiguration(w http.ResponseWriter, r *http.Request) {
	if _, c, ok := h.describe(w, r); ok {
		h.writeJSON(w, c)
	}
}

// serveAccountSettings tells the limits of the account.
func (h *Host) serveAccountSettings(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writeJSON(w, map[string]any{
		"AccountLimit": map[string]int{
			"ConcurrentExecutions": h.config.Concurrency, "UnreservedConcurrentExecutions": h.config.Concurrency - h.reserved,
		},
		"AccountUsage": map[string]int{"FunctionCount": len(h.functions)},
	})
}

func (h *Host) serveGet(w http.ResponseWriter, r *http.Request) {
	fn, c, ok := h.describe(w, r)
	if !ok {
		return
	}
	type concurrency struct{ ReservedConcurrentExecutions int }
	answer := struct {
		Configuration functionConfiguration
		Code          struct{ RepositoryType, Location string }
		Concurrency   *concurrency `json:",omitempty"`
	}{Configuration: c}
	answer.Code.RepositoryType, answer.Code.Location = "file", "file://"+fn.Path
	if fn.ReservedConcurrency != nil {
		answer.Concurrency = &concurrency{*fn.ReservedConcurrency}
	}
	h.writeJSON(w, answer)
}

func (h *Host) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(headerRequestID, h.requestID())
	json.NewEncoder(w).Encode(v)
}

// writeError writes an error in the form of the API. Errors that Lambda has no name for, such as a host that is
// closing, are a ServiceException.
func (h *Host) writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "ServiceException", StatusCode: http.StatusInternalServerError, Message: err.Error()}
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set(headerRequestID, h.requestID())
	header.Set(headerErrorType, e.Code)
	if e.StatusCode == http.StatusTooManyRequests {
		header.Set("Retry-After", "1")
	}
	body := map[string]string{"Type": "User", "message": e.Message}
	if e.StatusCode >= http.StatusInternalServerError {
		body["Type"] = "Service"
	}
	if e.Reason != "" {
		body["Reason"] = e.Reason
	}
	w.WriteHeader(e.StatusCode)
	json.NewEncoder(w).Encode(body)
}
