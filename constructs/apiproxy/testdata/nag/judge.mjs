// Has cdk-nag look at templates, in the version with plugins and in that with aspects, once as they are and once without
// what acknowledges its findings. It is told of the templates by a JSON file: [{"name", "file", "acknowledged"}], in which
// acknowledged holds what the CDK was told to acknowledge, by the logical id of the resource.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'judge.mjs'));
const { App, CfnResource, LegacyStackSynthesizer, Stack, Validations } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const [plugins, aspects] = [require('cdk-nag'), require('cdk-nag-2')];

const templates = JSON.parse(readFileSync(process.argv[2], 'utf8'));

// include makes an app of the templates.
function include(acknowledged) {
  const app = new App({ analyticsReporting: false });
  for (const template of templates) {
    let file = template.file;
    if (!acknowledged) {
      const text = JSON.parse(readFileSync(file, 'utf8'));
      for (const resource of Object.values(text.Resources)) {
        delete resource.Metadata?.cdk_nag;
      }
      writeFileSync((file += '.bare.json'), JSON.stringify(text));
    }
    const stack = new Stack(app, template.name, { synthesizer: new LegacyStackSynthesizer() });
    const included = new CfnInclude(stack, 'Template', { templateFile: file });
    for (const [id, rules] of Object.entries(acknowledged ? template.acknowledged : {})) {
      included.getResource(id).node.addMetadata(Validations.ACKNOWLEDGED_RULES_METADATA_KEY, rules);
    }
  }
  return app;
}

const findings = [];
for (const acknowledged of [true, false]) {
  const app = include(acknowledged);
  for (const Pack of [plugins.AwsSolutionsChecks, plugins.ServerlessChecks]) {
    for (const { ruleName, violatingResources } of new Pack().validateScope(app).violations) {
      for (const { constructPath } of violatingResources) {
        const [stack, , id] = constructPath.split('/');
        findings.push({ version: 3, acknowledged, stack, id, rule: ruleName });
      }
    }
  }
  for (const Pack of [aspects.AwsSolutionsChecks, aspects.ServerlessChecks]) {
    const found = ({ resource, ruleId, findingId }) => {
      const [stack, , id] = resource.node.path.split('/');
      findings.push({ version: 2, acknowledged, stack, id, rule: findingId ? `${ruleId}[${findingId}]` : ruleId });
    };
    const ignore = () => {};
    const logger = {
      onNonCompliance: found, onError: found,
      onCompliance: ignore, onSuppressed: ignore, onSuppressedError: ignore, onNotApplicable: ignore,
    };
    const pack = new Pack({ reports: false, additionalLoggers: [logger] });
    app.node.findAll().filter((node) => CfnResource.isCfnResource(node)).forEach((node) => pack.visit(node));
  }
}
process.stdout.write(JSON.stringify(findings));
