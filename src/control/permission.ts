/** Roles that may hand in work and have it published, as the permission API names them. */
export const MAY_WRITE: ReadonlySet<string> = new Set(['admin', 'maintain', 'write']);
