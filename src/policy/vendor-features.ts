import { z } from 'zod';

/**
 * What a model's vendor does beyond answering from the request: each is a way out of the sandbox by another name, or a
 * way in, and is refused unless the operator grants it for a model.
 * `web_fetch`: the vendor's own web search and fetch; `code_execution`: programs on the vendor's machines;
 * `remote_mcp`: tool servers that the vendor calls; `url_inputs`: images and documents that the vendor fetches;
 * `stored_files`: files kept at the vendor.
 */
export const VendorFeature = z.enum(['web_fetch', 'code_execution', 'remote_mcp', 'url_inputs', 'stored_files']);
export type VendorFeature = z.infer<typeof VendorFeature>;
