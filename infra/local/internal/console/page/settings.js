// The form for the behaviour of the demo upstream.

// fields are the values of the form's inputs, by their names, for settings.
function fields(settings) {
  return {
    requests: settings.requests,
    intervalSeconds: settings.intervalSeconds,
    by: settings.by ?? 'address',
    burst: settings.burst ?? '',
    omitRateLimit: settings.omitRateLimit ?? false,
    failurePercent: Number((settings.failureShare * 100).toFixed(4)),
    delayMilliseconds: settings.delayMilliseconds,
    outage: settings.outage?.answer ?? '',
    outageSeconds: settings.outage?.seconds ?? '',
    retryAfterSeconds: settings.outage?.retryAfterSeconds ?? '',
  };
}

// show has the form show settings. What has not changed since those before stays as somebody may just be writing it.
export function show(inputs, settings, before) {
  const shown = before && fields(before);
  for (const [name, value] of Object.entries(fields(settings))) {
    if (shown?.[name] === value) continue;
    if (inputs[name].type === 'checkbox') inputs[name].checked = value;
    else inputs[name].value = value;
  }
}

// read reads settings out of the form. What is empty is left out.
export function read(inputs) {
  const number = (name) => (inputs[name].value === '' ? undefined : inputs[name].valueAsNumber);
  const outage = inputs.outage.value && {
    answer: inputs.outage.value, seconds: number('outageSeconds'), retryAfterSeconds: number('retryAfterSeconds'),
  };
  return {
    requests: number('requests'),
    intervalSeconds: number('intervalSeconds'),
    by: inputs.by.value === 'address' ? undefined : inputs.by.value,
    burst: number('burst'),
    omitRateLimit: inputs.omitRateLimit.checked || undefined,
    failureShare: number('failurePercent') / 100,
    delayMilliseconds: number('delayMilliseconds'),
    outage: outage || undefined,
  };
}
