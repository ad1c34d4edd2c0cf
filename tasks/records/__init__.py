"""The data types of the pipeline: records, outcomes, reasons and errors, schemas, codec, canonical JSON, seeds."""
