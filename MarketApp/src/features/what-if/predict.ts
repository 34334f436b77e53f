import { ApiError, unwrap, type Api } from "@/lib/api";
import type { Features, Forecast } from "@/lib/api-types";

export interface Answer {
  forecast: Forecast;
  modelVersion: string | null;
}

/** The model's forecast for one record of features. */
export async function predict(api: Api, service: string, record: Features): Promise<Answer> {
  const answer = await unwrap(
    api.POST("/predict/{name}", { params: { path: { name: service } }, body: { records: [record] } }),
  );
  const forecast = answer.predictions[0];
  if (!forecast) throw new ApiError("The gateway answered without a prediction.", 502);
  return { forecast, modelVersion: answer.model_version };
}
