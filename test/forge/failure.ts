/** Refusals in GitHub's words and shapes. */
export interface FieldError {
  readonly resource: string;
  readonly code: string;
  readonly field?: string;
  readonly message?: string;
  readonly value?: string;
}

export class ApiFailure extends Error {
  readonly status: number;
  readonly errors: readonly (FieldError | string)[] | null;

  constructor(status: number, message: string, errors: readonly (FieldError | string)[] | null = null) {
    super(message);
    this.status = status;
    this.errors = errors;
  }

  body(docs: string): Record<string, unknown> {
    return {
      message: this.message,
      ...(this.errors ? { errors: this.errors } : {}),
      documentation_url: docs,
      status: String(this.status),
    };
  }
}

export const notFound = () => new ApiFailure(404, 'Not Found');
export const badCredentials = () => new ApiFailure(401, 'Bad credentials');
export const notAccessible = () => new ApiFailure(403, 'Resource not accessible by integration');
export const invalid = (...errors: (FieldError | string)[]) => new ApiFailure(422, 'Validation Failed', errors);
