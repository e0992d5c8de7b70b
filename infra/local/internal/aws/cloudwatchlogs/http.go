package cloudwatchlogs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	// TargetPrefix is what the X-Amz-Target header of a request has before the name of the operation.
	TargetPrefix = "Logs_20140328."

	// maxRequestSize is how many bytes the body of a request can have.
	maxRequestSize = 1 << 20

	// maxEvents is how many events an answer holds at most.
	maxEvents = 10_000

	contentType = "application/x-amz-json-1.1"
)

// ServeHTTP answers requests of the CloudWatch Logs API: POST, the operation in X-Amz-Target.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	output, err := s.answer(w, r)
	var own *Error
	if errors.As(err, &own) {
		status, output = own.StatusCode(), own
	}
	body, err := json.Marshal(output)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that is gone needs no answer
}

func (s *Store) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix)
	known := operations[name]
	if r.Method != http.MethodPost || !ours || known == nil {
		return nil, refusal(CodeUnknownOperation, "expected a POST with X-Amz-Target %s and one of %s; got %s %s with %q",
			TargetPrefix, strings.Join(slices.Sorted(maps.Keys(operations)), ", "), r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"))
	}
	input, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestSize))
	if err != nil {
		return nil, refusal(CodeSerialization, "read the request: %v", err)
	}
	return known(s, input)
}

var operations = map[string]func(*Store, []byte) (any, error){
	"DescribeLogGroups": operation((*Store).describeLogGroups),
	"FilterLogEvents":   operation((*Store).filterLogEvents),
}

// operation reads the input of an operation, in which a member that is not known is refused rather than ignored.
func operation[In any](do func(*Store, In) (any, error)) func(*Store, []byte) (any, error) {
	return func(s *Store, text []byte) (any, error) {
		var in In
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			return nil, refusal(CodeSerialization, "the request cannot be read: %v", err)
		}
		return do(s, in)
	}
}

// arn is that of a group, as it stands in policies and templates.
func (s *Store) arn(name string) string {
	return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", s.config.Region, s.config.AccountID, name)
}

// groupName finds a group by its name, or by its name or ARN in another member.
func (s *Store) groupName(name, identifier string) (string, error) {
	if name == "" {
		name = identifier
	}
	if _, after, is := strings.Cut(name, ":log-group:"); is {
		name = strings.TrimSuffix(after, ":*")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.groups[name]; !there {
		return "", refusal(CodeNotFound, "The specified log group does not exist: %q", name)
	}
	return name, nil
}

type describeLogGroupsInput struct {
	LogGroupNamePrefix, LogGroupNamePattern, NextToken string
	Limit                                              int
}

func (s *Store) describeLogGroups(in describeLogGroupsInput) (any, error) {
	type group struct {
		LogGroupName string `json:"logGroupName"`
		CreationTime int64  `json:"creationTime"`
		Arn          string `json:"arn"`
		LogGroupArn  string `json:"logGroupArn"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := []group{}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if strings.HasPrefix(name, in.LogGroupNamePrefix) && strings.Contains(strings.ToLower(name), strings.ToLower(in.LogGroupNamePattern)) {
			groups = append(groups, group{name, s.groups[name].UnixMilli(), s.arn(name) + ":*", s.arn(name)})
		}
	}
	return map[string]any{"logGroups": groups}, nil
}

type outputEvent struct {
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
	EventID       string `json:"eventId"`
}

type filterLogEventsInput struct {
	LogGroupName, LogGroupIdentifier, LogStreamNamePrefix, FilterPattern, NextToken string
	LogStreamNames                                                                  []string
	StartTime, EndTime                                                              int64
	Limit                                                                           int
	Interleaved, Unmask                                                             bool // make no difference here
}

func (s *Store) filterLogEvents(in filterLogEventsInput) (any, error) {
	name, err := s.groupName(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	matches, err := matcherOf(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	most, after, err := page(in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	found, numbers, next := s.selected(selection{
		group: name, streams: in.LogStreamNames, streamPrefix: in.LogStreamNamePrefix, from: in.StartTime, until: in.EndTime,
		matches: matches, after: after, most: most,
	})
	events := make([]outputEvent, len(found))
	for i, e := range found {
		// A number that grows, by which clients tell what they have shown already.
		events[i] = outputEvent{e.stream, e.time, e.message, e.time, fmt.Sprintf("%056d", numbers[i])}
	}
	output := map[string]any{"events": events, "searchedLogStreams": []any{}}
	if next > 0 {
		output["nextToken"] = strconv.Itoa(next)
	}
	return output, nil
}

// page reads how many events are wanted, and from which number on.
func page(limit int, token string) (most, after int, err error) {
	if limit < 0 || limit > maxEvents {
		return 0, 0, refusal(CodeInvalidParameter, "limit is %d; 1 to %d are allowed", limit, maxEvents)
	}
	if limit == 0 {
		limit = maxEvents
	}
	if token != "" {
		if after, err = strconv.Atoi(token); err != nil || after < 0 {
			return 0, 0, refusal(CodeInvalidParameter, "The specified nextToken is invalid: %q", token)
		}
	}
	return limit, after, nil
}
