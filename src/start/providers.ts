import type { Config } from '../config.ts';
import type { Provider } from '../control/model-access.ts';
import { CoatcheckError } from '../errors.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';

/**
 * The models of the policy with their keys from the environment.
 * @throws CoatcheckError `model_key_missing` naming the variable, for any model: better at the start than in a task.
 */
export function readProviders(operator: OperatorConfig, config: Config): ReadonlyMap<string, Provider> {
  return new Map(
    operator.models.map((model) => {
      const apiKey = model.key_env === undefined ? '' : config.secret(model.key_env);
      if (apiKey === null) {
        throw new CoatcheckError(
          'model_key_missing',
          `The policy's model “${model.name}” takes its key from ${model.key_env}, which is not set.`,
          `Set ${model.key_env}, or take the model out of ${config.policyFile}.`,
        );
      }
      const { price } = model;
      return [
        model.name,
        {
          dialect: model.dialect,
          baseUrl: model.base_url,
          apiKey,
          model: model.name,
          features: model.vendor_features,
          price: price && { input: price.input, output: price.output, cachedInput: price.cached_input },
        },
      ];
    }),
  );
}
