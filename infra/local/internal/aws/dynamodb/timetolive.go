package dynamodb

import "time"

const (
	// DefaultDeletionDelay is how long an expired item stays in its table. The service promises no time but "within a few
	// days", and its reads show an item until it is deleted; two days is what it typically needs at most.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
	DefaultDeletionDelay = 48 * time.Hour

	// maxTTLAge is how long ago an item can have expired; one with an older time is never deleted. Five years.
	maxTTLAge = 5 * 365 * 24 * time.Hour
)

// DeleteExpired deletes the items whose time to live was over before the deletion delay began, as the service does in
// the background, and returns their number. Nothing deletes expired items but this; a program that wants them deleted
// calls it now and then.
func (s *Store) DeleteExpired() (int, error) {
	deleted := 0
	for _, name := range s.TableNames() {
		t, err := s.table(name)
		if err != nil {
			return deleted, err
		}
		count, err := t.deleteExpired(s.now(), s.deletionDelay)
		deleted += count
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

func (t *table) deleteExpired(now time.Time, delay time.Duration) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	latest := wholeNumber(int(now.Add(-delay).Unix()))
	earliest := wholeNumber(int(now.Add(-maxTTLAge).Unix()))
	deleted := 0
	for key, it := range t.items {
		// Only numbers count; an item with a time of another type never expires.
		expiration := it[t.definition.TTLAttribute]
		if expiration.kind != numberKind || expiration.compare(latest) >= 0 || expiration.compare(earliest) < 0 {
			continue
		}
		if err := t.remove(key); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}

type describeTimeToLiveInput struct{ TableName string }

func (s *Store) describeTimeToLive(in *describeTimeToLiveInput) (any, error) {
	t, err := s.describedTable(in.TableName)
	if err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	description := map[string]string{"TimeToLiveStatus": "DISABLED"}
	if t.definition.TTLAttribute != "" {
		description = map[string]string{"TimeToLiveStatus": "ENABLED", "AttributeName": t.definition.TTLAttribute}
	}
	return map[string]any{"TimeToLiveDescription": description}, nil
}

type timeToLiveSpecification struct {
	AttributeName string
	Enabled       bool
}

type updateTimeToLiveInput struct {
	TableName               string
	TimeToLiveSpecification *timeToLiveSpecification
}

// updateTimeToLive switches at once; the service takes up to an hour.
func (s *Store) updateTimeToLive(in *updateTimeToLiveInput) (any, error) {
	wanted := in.TimeToLiveSpecification
	switch {
	case wanted == nil:
		return nil, invalid("1 validation error detected: Value null at 'timeToLiveSpecification' failed to satisfy constraint: Member must not be null")
	case wanted.AttributeName == "":
		return nil, invalid("TimeToLiveSpecification.AttributeName must be non empty")
	}
	t, err := s.describedTable(in.TableName)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	current := t.definition.TTLAttribute
	switch {
	case wanted.Enabled && current == wanted.AttributeName:
		return nil, invalid("TimeToLive is already enabled")
	case !wanted.Enabled && current == "":
		return nil, invalid("TimeToLive is already disabled")
	case current != "" && current != wanted.AttributeName:
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", current)
	case wanted.Enabled:
		t.definition.TTLAttribute = wanted.AttributeName
	default:
		t.definition.TTLAttribute = ""
	}
	return map[string]any{"TimeToLiveSpecification": wanted}, nil
}
