/** Runs of each property test: a thousand by default, more where somebody has the time (100,000 a night). */
export const RUNS = Number(process.env['COATCHECK_PROPERTY_RUNS'] ?? 1000);
