package sqs

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

type getURLInput struct{ QueueName, QueueOwnerAWSAccountId string }

func (s *Store) getQueueURL(in *getURLInput, _ time.Time) (any, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	q := s.queues[in.QueueName]
	if q == nil || in.QueueOwnerAWSAccountId != "" && in.QueueOwnerAWSAccountId != s.config.AccountID {
		return nil, errNoSuchQueue
	}
	return map[string]string{"QueueUrl": q.url}, nil
}

type listInput struct {
	QueueNamePrefix, NextToken string
	MaxResults                 *int
}

// maxQueues is how many queues a page can have, and has if nothing is said.
const maxQueues = 1000

func (s *Store) listQueues(in *listInput, _ time.Time) (any, error) {
	most := maxQueues
	if n := in.MaxResults; n != nil {
		if most = *n; most < 1 || most > maxQueues {
			return nil, invalid("MaxResults", most, "Must be an integer from 1 to 1000, if provided.")
		}
	}
	var output struct {
		QueueUrls []string `json:",omitempty"`
		NextToken string   `json:",omitempty"`
	}
	last := ""
	for _, q := range s.sorted() {
		if !strings.HasPrefix(q.Name, in.QueueNamePrefix) || q.Name <= in.NextToken {
			continue
		}
		if len(output.QueueUrls) == most {
			output.NextToken = last
			break
		}
		output.QueueUrls = append(output.QueueUrls, q.url)
		last = q.Name
	}
	return output, nil
}

type attributesInput struct {
	QueueUrl       string
	AttributeNames []string
}

func (s *Store) getQueueAttributes(in *attributesInput, now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := q.attributes(now)
	picked := map[string]string{}
	for _, name := range in.AttributeNames {
		value, known := all[name]
		switch {
		case name == "All":
			picked = all
		case known:
			picked[name] = value
		// Those that a queue has only if they were set.
		case !slices.Contains([]string{"RedrivePolicy", "RedriveAllowPolicy", "Policy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"}, name):
			return nil, refusal(CodeInvalidAttributeName, "Unknown Attribute %s.", name)
		}
	}
	if len(picked) == 0 {
		return struct{}{}, nil
	}
	for name, value := range picked {
		if value == "" {
			delete(picked, name)
		}
	}
	return map[string]any{"Attributes": picked}, nil
}

// attributes are those of a queue, as the API has them.
func (q *queue) attributes(now time.Time) map[string]string {
	wholeSeconds := func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
	var visible, hidden, delayed int
	for _, m := range q.messages {
		switch {
		case q.expired(m, now):
		case !m.Available.After(now):
			visible++
		case m.Received > 0:
			hidden++
		default:
			delayed++
		}
	}
	created := strconv.FormatInt(q.created.Unix(), 10)
	attributes := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
		"CreatedTimestamp":                      created,
		"DelaySeconds":                          wholeSeconds(q.Delay),
		"LastModifiedTimestamp":                 created,
		"MaximumMessageSize":                    strconv.Itoa(q.MaxMessageSize),
		"MessageRetentionPeriod":                wholeSeconds(q.Retention),
		"QueueArn":                              q.arn,
		"ReceiveMessageWaitTimeSeconds":         wholeSeconds(q.ReceiveWait),
		"SqsManagedSseEnabled":                  "false", // nothing is encrypted
		"VisibilityTimeout":                     wholeSeconds(*q.VisibilityTimeout),
	}
	if r := q.Redrive; r != nil {
		attributes["RedrivePolicy"] = asJSON(map[string]any{"deadLetterTargetArn": r.DeadLetterTargetARN, "maxReceiveCount": r.MaxReceiveCount})
	}
	if a := q.RedriveAllow; a != nil {
		policy := map[string]any{"redrivePermission": a.Permission}
		if len(a.SourceQueueARNs) > 0 {
			policy["sourceQueueArns"] = a.SourceQueueARNs
		}
		attributes["RedriveAllowPolicy"] = asJSON(policy)
	}
	return attributes
}

func asJSON(value map[string]any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and numbers can be written as JSON
	}
	return string(text)
}

type purgeInput struct{ QueueUrl string }

// purgePause is how long a queue cannot be purged again.
const purgePause = 60 * time.Second

// purgeQueue deletes at once. The service takes up to a minute.
func (s *Store) purgeQueue(in *purgeInput, now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if !q.purged.IsZero() && now.Before(q.purged.Add(purgePause)) {
		return nil, refusal(CodePurgeQueueInProgress, "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
	}
	var changes []datafile.Change
	for _, m := range q.messages {
		changes = append(changes, erased(q, m))
	}
	if err := s.config.File.Write(changes...); err != nil {
		return nil, err
	}
	q.messages, q.order, q.purged = map[string]*message{}, nil, now
	return struct{}{}, nil
}
