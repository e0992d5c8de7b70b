package idempotency

import (
	"fmt"
	"sync"
)

// derivedPrefixes are the prefixes of this process's managers that none was given for. A Lambda function's name is the
// same for all that runs in it.
var derivedPrefixes sync.Map

// takeDerivedPrefix refuses a prefix that another manager of this process has got by default: each would be handed the
// results of the other. What a manager has taken stays taken until the process ends, since its records stay, too.
func takeDerivedPrefix(cfg Config) error {
	if _, taken := derivedPrefixes.LoadOrStore(cfg.Prefix, nil); !taken {
		return nil
	}
	if cfg.Operation != "" {
		return fmt.Errorf("Prefix is empty and Operation is %q, as in an earlier New of this process, so that both managers would have the prefix %s "+
			"and hand out each other's results: set another Operation, or set Prefix", cfg.Operation, cfg.Prefix)
	}
	return fmt.Errorf("Prefix is empty, as in an earlier New of this process, so that both managers would have the prefix %s "+
		"and hand out each other's results: set Operation, such as \"refund\", or set Prefix, in tests too; "+
		"if they are to share results, use one Manager, or WithTTL and WithPolicy of it", cfg.Prefix)
}
