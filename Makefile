# Commands of the repository; `make help` lists them. Each installs what npm and the go command can bring.

.DEFAULT_GOAL := help

# A pipe fails with whatever fails in it.
SHELL := bash
.SHELLFLAGS := -o pipefail -c

# The CDK checks the template at each synthesis, which takes seconds; `make synth` has it done. Its notice that Node.js 20 has
# reached the end of its life is for whoever installs Node.js.
export CDK_VALIDATION ?= false
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION ?= 18,20

# What was compiled in one clone serves in another, and in the bundling of the handlers.
export GOFLAGS := $(strip -trimpath $(GOFLAGS))

# Variants of the stack, handed to the CDK as context: make deploy UPSTREAM=https://api.example.com PROXIES=5
VARIANTS := UPSTREAM UPSTREAM_AUTH POLICY VENDOR ASYNC LARGEBODIES DEADLETTERS CALLBACK CALLBACK_HOSTS FLOW_CONTROL FLOW_KEY MAX_WAITING CIRCUIT_BREAKER ALARMS DASHBOARD SAVED_QUERIES EGRESS ADDRESS_PROBE QUEUE TABLE PROXIES ARCHITECTURE AUTH
CONTEXT := $(foreach name,$(VARIANTS),$(if $($(name)),-c '$(shell echo $(name) | tr -d _ | tr A-Z a-z)=$($(name))'))

# The same for programs that are run without the CDK's CLI, which hands context on in this form.
comma := ,
CONTEXT_JSON := {$(foreach name,$(VARIANTS),$(if $($(name)),"$(shell echo $(name) | tr -d _ | tr A-Z a-z)":"$($(name))"$(comma)))"by":"make"}

CDK := node_modules/.bin/cdk

# Everything that does not import the CDK. It runs under the race detector; the CDK's own runtime cannot.
WITHOUT_CDK := ./functions/... ./infra/local/... ./infra/verification/...
WITH_CDK := ./constructs/... ./infra

# A module of its own: importers never see the libraries that the policy is compared with.
COMPARISON := functions/retry/comparison

# Another one: the clients of Redis and Valkey with which the store of records is tested.
CLIENTS := functions/idempotency/redisstore/clients

# The tests of the quick loop. With -short they leave out the judges, the CDK app and what waits in real time.
QUICK := $(WITHOUT_CDK) ./constructs/gofunction/gobuild

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variants, for local: ADDR=127.0.0.1:8787 UPSTREAM=https://… SPEED=1 PROXIES=3 DATA=file VERBOSE=1"
	@echo "    CONCURRENCY=n is how many invocations of functions may run at once (default 1000)"
	@echo "    FAULTS=throttle=0.1,failed=0.1,lost=0.1,cut=0.1,slow=0.1,delay=1s,seed=7 are shares of the calls to AWS that fail, and how"
	@echo "      dynamodb.throttle=0.5 is a share of one service, as are lambda., stepfunctions., sqs., secretsmanager. and s3."
	@echo "    UPSTREAM_AUTH=bearer:SECRET, basic:SECRET, header/NAME:SECRET, query/NAME:SECRET, oauth2/TOKEN-URL:SECRET or certificate:SECRET"
	@echo "      authenticates to the upstream with a secret of SECRETS, or with its field SECRET#FIELD; the demo upstream asks for it"
	@echo "    CALLBACK=http://127.0.0.1:9000/ is told of the end of asynchronous requests, and CALLBACK_HOSTS=127.0.0.1:9000 are hosts that their"
	@echo "      field Callback-Url may name; https, or http at a loopback address"
	@echo "    POLICY=file.json holds the retry policy, and VENDOR=shopify is a preset that it is put over; docs/vendors.md lists them"
	@echo "    CA=file.pem holds authorities that an https upstream is trusted by, besides the system's"
	@echo "    SECRETS=file.json holds the secrets in Secrets Manager by their names, as strings or objects; it is read again when it changes"
	@echo "    AUTH=AWS_IAM has the URL take signed requests only; signatures are not verified"
	@echo "    SHARING=off|gate says whether requests share what the upstream tells any of them of its limits, and queue by it; docs/gate.md"
	@echo "    ASSEMBLY=../shop/cdk.out runs the stack in this cloud assembly; INSTANCE=Orders is the RetryingApiProxy of it that is served at ADDR,"
	@echo "      and SKIP=AWS::Kinesis::*,Uploads are what is left out: types of resources, logical ids, or paths of constructs; docs/testing.md"
	@echo "    FREEZE=off lets functions run on between invocations, such as under a debugger"
	@echo "  Variants, for synth, diff, deploy, destroy, explain: UPSTREAM=https://… (default https://httpbin.org) PROXIES=3 AUTH=AWS_IAM|NONE ARCHITECTURE=arm64|x86_64"
	@echo "    UPSTREAM_AUTH=… POLICY=… VENDOR=… CALLBACK=https://… CALLBACK_HOSTS=host,… as for local"
	@echo "    ASYNC=true LARGEBODIES=true DEADLETTERS=true QUEUE=true, and TABLE=name of a table that a stack has left"
	@echo "    FLOW_CONTROL=off|adaptive|observe|fixed:50/1s:80 FLOW_KEY=credential+route|credential|route|upstream MAX_WAITING=500 CIRCUIT_BREAKER=on|off"
	@echo "    EGRESS=shared|static|ipv6 ADDRESS_PROBE=https://… say which addresses the proxies call from; static costs while idle"
	@echo "    ALARMS=true|topic-ARN DASHBOARD=true, which cost while idle, and SAVED_QUERIES=false"
	@echo "  Variants, for redrive: LETTERS=queue-URL GATEWAY=name:live (outputs of the stack; make local prints them) ONE=execution RESEND=true ENDPOINT=http://127.0.0.1:8788"
	@echo "  Variants, for contract: ENDPOINT=https://… LISTEN=0.0.0.0:8080 CERTIFICATE=file PRIVATE_KEY=file SPEED=1 POLICY=file PAGES=origin RUN=regexp AT_ONCE=8 JUNIT=file.xml"
	@echo "  Variants, for verify: URL=https://… UPSTREAM_URL=https://… (default: the outputs of verify-deploy) RUN=regexp AT_ONCE=8 JUNIT=file.xml, and POLICY, VENDOR, LARGEBODIES, AUTH as for verify-deploy"
	@echo "  Variants, for verify-deploy, verify-destroy: as for deploy; UPSTREAM, UPSTREAM_AUTH, CALLBACK and FLOW_CONTROL make no difference"

.PHONY: local
local: prerequisites ## run the stack on this machine, without AWS
	@mkdir -p .local && go build -o .local/local ./infra/local && exec .local/local

# Tests compile handlers and the CDK app, of which the cache of test results knows nothing: hence -count=1.
.PHONY: test
test: prerequisites node_modules ## run all tests, as CI does after lint
	go build -o /dev/null ./infra # compiled once, before several tests run it at the same time
	go test -count=1 -race -v $(WITHOUT_CDK) 2>&1 | awk -f .ci/report.awk
	go test -count=1 -v ./functions/retry/simulation ./functions/gate/simulation 2>&1 | awk -f .ci/report.awk # too many goroutines for the race detector
	go test -count=1 -v $(WITH_CDK) 2>&1 | awk -f .ci/report.awk
	go -C $(COMPARISON) test -count=1 ./...
	go -C $(CLIENTS) test -count=1 -race ./...

.PHONY: check
check: lint ## the quick loop: lint, and the tests that need no judge, no CDK and no real time
	go test -short -vet=off $(QUICK) 2>&1 | awk '!/no test files/'

.PHONY: lint
lint: prerequisites ## gofmt, go vet and staticcheck
	@echo "gofmt -l"
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet $(WITHOUT_CDK) $(WITH_CDK)
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(WITHOUT_CDK) $(WITH_CDK)
	go -C $(COMPARISON) vet ./...
	go -C $(COMPARISON) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go -C $(CLIENTS) vet ./...
	go -C $(CLIENTS) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# A file: URL or one of a mirror will do, too.
VULNDB ?= https://vuln.go.dev

.PHONY: vulncheck
vulncheck: prerequisites ## look for known vulnerabilities in what the code calls; needs the database at vuln.go.dev
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db '$(VULNDB)' $(WITHOUT_CDK) $(WITH_CDK)

.PHONY: contract
contract: prerequisites ## run the cases of the contract against an endpoint; docs/contract.md says how
	@mkdir -p .local && go build -o .local/contract ./infra/local/internal/contract/check && exec .local/contract

# The outputs of the verification stack, for verify.
VERIFICATION := .local/verification.json

.PHONY: verify
verify: prerequisites ## run the cases of the contract against a deployment, with the upstream of verify-deploy; docs/contract.md says how
	@mkdir -p .local && go build -o .local/contract ./infra/local/internal/contract/check && ENDPOINT='$(or $(URL),$(ENDPOINT))' OUTPUTS=$(VERIFICATION) exec .local/contract

.PHONY: verify-deploy
verify-deploy: prerequisites node_modules ## deploy the same variant with an upstream that fails as verify tells it; costs nothing while idle
	@mkdir -p .local
	$(CDK) deploy $(CONTEXT) -c verification=true --outputs-file $(VERIFICATION)

.PHONY: verify-destroy
verify-destroy: prerequisites node_modules ## take the stack of verify-deploy out of the account, with all that is in it
	$(CDK) destroy $(CONTEXT) -c verification=true
	@rm -f $(VERIFICATION)

.PHONY: deployment
deployment: prerequisites node_modules ## deploy, change and destroy the stack in an account of moto's, and print each step
	go test -count=1 -v ./infra/local/internal/deployment

.PHONY: soak
soak: prerequisites ## run the tests that take minutes: what only many requests show
	SOAK=1 SECONDS=$(or $(SECONDS),60) go test -count=1 -v -timeout 60m -run 'TestMemoryIsBounded|TestUnderFaultsAndOverload' ./infra/local/internal/stack

.PHONY: fuzz
fuzz: prerequisites ## run each fuzz target for a minute, or for FUZZTIME, until one fails
	@.ci/fuzz

.PHONY: bench
bench: prerequisites ## run the simulations of retry strategies and of the gate, the comparisons with libraries, and all benchmarks
	go run ./functions/retry/simulation
	go run ./functions/gate/simulation
	go run ./functions/gate/simulation -accept 5
	go -C $(COMPARISON) test -count=1 -v -run TestComparison .
	BENCH=1 go test -count=1 -v ./functions/idempotency/comparison
	go test -run '^$$' -bench . -benchmem $(WITHOUT_CDK)

.PHONY: redrive
redrive: prerequisites ## send asynchronous requests that failed again, from their dead letters; docs/async.md says how
	@go run ./functions/redrive/redrive

.PHONY: explain
explain: prerequisites ## print the timetable and the costs of the stack's retry policy
	@CDK_CONTEXT_JSON='$(CONTEXT_JSON)' go run ./infra explain

.PHONY: snapshots
snapshots: prerequisites ## rewrite the golden files; read the difference before you commit it
	go test ./constructs/apiproxy -update
	go test ./infra -update
	go test ./functions/message -update
	go test ./functions/retry -run Vendors -update
	git diff --stat -- '*/testdata/*'

.PHONY: synth
synth: prerequisites node_modules ## write the CloudFormation template to cdk.out
	CDK_VALIDATION=true $(CDK) synth --quiet $(CONTEXT)
	@echo "the template is in cdk.out"

.PHONY: diff
diff: prerequisites node_modules ## show what a deployment would change
	$(CDK) diff $(CONTEXT)

.PHONY: deploy
deploy: prerequisites node_modules ## deploy into the account that the AWS credentials are for
	$(CDK) deploy $(CONTEXT)

.PHONY: destroy
destroy: prerequisites node_modules ## take the stack out of the account, and say what stays
	@CDK_CONTEXT_JSON='$(CONTEXT_JSON)' CDK_VALIDATION=false go run ./infra leaves
	$(CDK) destroy $(CONTEXT)

.PHONY: prerequisites
prerequisites:
	@command -v go >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 1; }
	@command -v node >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || \
		{ echo "Node.js 22 or later is needed, for the CDK (20 still works): https://nodejs.org" >&2; exit 1; }

node_modules: package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed, for the CDK CLI; it comes with Node.js: https://nodejs.org" >&2; exit 1; }
	npm ci --no-progress
	@touch node_modules
