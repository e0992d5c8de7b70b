package cloudformation

import "strconv"

func loadMetricFilter(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		FilterPattern, LogGroupName string
		MetricTransformations       []struct {
			MetricName, MetricNamespace, MetricValue, Unit string

			DefaultValue any // what a metric has while no line matches is not kept
			Dimensions   any
		}
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	filter := MetricFilter{ID: r.id, LogGroup: p.LogGroupName, Pattern: p.FilterPattern}
	for _, t := range p.MetricTransformations {
		value, err := strconv.ParseFloat(t.MetricValue, 64)
		if err != nil || t.Dimensions != nil { // taken from the line
			l.leftOut[r.id] = &LeftOut{ID: r.id, Type: r.Type, Path: r.path, Reason: "its value is " + t.MetricValue + "; numbers without dimensions are counted here"}
			return nil
		}
		filter.Adds = append(filter.Adds, Addition{Namespace: t.MetricNamespace, Metric: t.MetricName, Unit: t.Unit, Value: value})
	}
	l.stack.MetricFilters = append(l.stack.MetricFilters, filter)
	return nil
}
